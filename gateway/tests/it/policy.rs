//! How the policy reaches the gateway, and what happens when it does not.

use std::sync::atomic::Ordering;

use actix_web::{App, HttpRequest, HttpResponse, HttpServer, web};
use contracts::{
    event::Event,
    events::TokenRevoked,
    policy::{PolicySource, RevokedToken},
    routes::ServiceName,
};
use gateway::HttpPolicySource;
use platform::{
    bus::Written,
    http::caller::{CallerCheck, Identity, InternalKey},
    lifecycle::{self, Workers},
};
use serde_json::json;
use testing::wait_until;

use crate::support::{Bed, INTERNAL, Mode, Plan, claims, everything_registered, sign, statuses, token};

/// Starts the policy's workers and waits for their first answer.
pub async fn run_workers(mut bed: Bed) -> Bed {
    Workers::start(std::mem::take(&mut bed.workers));
    let bed_ready = &bed;
    wait_until("the first policy", async || {
        bed_ready.get("/readyz").send().await.unwrap().status().as_u16() == 200
    })
    .await;
    bed
}

async fn opens(bed: &Bed, token: &str) -> (u16, i64) {
    statuses(bed.get("/api/report").bearer_auth(token)).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_token_is_dead_after_the_event_and_its_account_lives() {
    for mode in Mode::BOTH {
        let bed = run_workers(Bed::new(mode).await).await;
        let second = sign(&{
            let mut other = claims(1);
            other["jti"] = json!("another");
            other
        });
        for _ in 0..8 {
            assert_eq!(opens(&bed, &token(1)).await.0, 200);
        }
        bed.policy.change(|p| p.revoked.push(RevokedToken { jti: "jti-1".into(), exp: i64::MAX }));
        let told = TokenRevoked { version: 2, jti: "jti-1".into(), account_id: 1 };
        let event = Event::new("1".into(), "auth", String::new(), String::new(), None, &told).unwrap();
        bed.shared.bus.publish(&[Written::new(&event).unwrap()]).await.unwrap();
        wait_until("the token is dead", async || opens(&bed, &token(1)).await == (401, 6)).await;
        assert_eq!(opens(&bed, &second).await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_poll_alone_brings_a_change_and_revoke_all_ends_older_tokens() {
    let bed = run_workers(Bed::new(Mode::Mounted).await).await;
    assert_eq!(opens(&bed, &token(1)).await.0, 200);
    let issued = claims(1)["iat"].as_i64().unwrap();
    bed.policy.change(|p| p.accounts[0].tokens_valid_from = issued + 1);
    wait_until("tokens of before are dead", async || opens(&bed, &token(1)).await == (401, 6)).await;
    bed.policy.change(|p| p.accounts[0].tokens_valid_from = issued);
    wait_until("those of that second live", async || opens(&bed, &token(1)).await.0 == 200).await;
    bed.policy.change(|p| p.accounts[0].enabled = false);
    wait_until("a disabled account is out", async || opens(&bed, &token(1)).await == (401, 6)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_policy_nothing_that_needs_one_is_open() {
    for mode in Mode::BOTH {
        let bed = Plan::new(mode).without_policy().start().await;
        assert_eq!(opens(&bed, &token(1)).await, (503, 500));
        // A bad token is bad all the same, and what needs no policy is open.
        assert_eq!(opens(&bed, "nonsense").await, (401, 6));
        assert_eq!(bed.post("/api/access/token").send().await.unwrap().status().as_u16(), 200);
        let ready = bed.get("/readyz").send().await.unwrap();
        assert_eq!(ready.status().as_u16(), 503);
        assert!(ready.text().await.unwrap().contains("policy"), "it says what is missing");
        let bed = run_workers(bed).await;
        assert_eq!(opens(&bed, &token(1)).await.0, 200);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_cannot_be_renewed_serves_for_a_while_and_then_no_longer() {
    let plan = Plan::new(Mode::Proxied).settings(|s| s.gateway.policy_max_age_seconds = 60);
    let bed = run_workers(plan.start().await).await;
    bed.policy.down.store(true, Ordering::SeqCst);
    let asked = || bed.policy.asked.load(Ordering::SeqCst);
    let before = asked();
    wait_until("it was asked in vain", async || asked() > before + 1).await;
    bed.clock.advance_ms(60_000);
    assert_eq!(opens(&bed, &token(1)).await.0, 200, "as old as allowed");
    bed.clock.advance_ms(1);
    assert_eq!(opens(&bed, &token(1)).await, (503, 500));
    assert_eq!(bed.get("/readyz").send().await.unwrap().status().as_u16(), 503);
    bed.policy.down.store(false, Ordering::SeqCst);
    wait_until("it is renewed", async || opens(&bed, &token(1)).await.0 == 200).await;
}

/// What auth-service does behind `/internal/policy`.
async fn internal_policy(req: HttpRequest, identity: Option<Identity>) -> HttpResponse {
    let Some(identity) = identity else { return HttpResponse::Unauthorized().finish() };
    assert_eq!(identity.caller.account_id, 0);
    let snapshot = everything_registered();
    if req.query_string() == format!("version={}", snapshot.version) {
        return HttpResponse::NotModified().finish();
    }
    HttpResponse::Ok().json(snapshot)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_policy_of_another_process_is_asked_for_with_a_token_for_just_that() {
    let bed = Bed::new(Mode::Proxied).await;
    let check = CallerCheck { key: InternalKey::new(&INTERNAL.into()), clock: bed.clock.clone() };
    let auth = HttpServer::new(move || {
        App::new()
            .app_data(web::Data::new(check.clone()))
            .route("/internal/policy", web::get().to(internal_policy))
    })
    .workers(1)
    .disable_signals()
    .bind("127.0.0.1:0")
    .unwrap();
    let address = auth.addrs()[0];
    let auth = auth.run();
    let handle = auth.handle();
    lifecycle::spawn(auth);
    // Nobody is at the first replica's address.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let urls = format!("http://{nobody},http://{address}");
    let mut shared = bed.shared.clone();
    let mut settings = (*shared.settings).clone();
    let upstreams = ServiceName::ALL.iter().map(|s| (s.as_str().to_owned(), urls.clone()));
    settings.gateway.upstreams = upstreams.collect();
    shared.settings = settings.into();
    let source = HttpPolicySource::new(&shared).unwrap();
    assert_eq!(source.fetch(-1).await.unwrap().as_ref(), Some(&everything_registered()));
    assert_eq!(source.fetch(1).await.unwrap(), None);
    // Two minutes later the clock of auth-service and ours still agree, and a stale token would not open.
    bed.clock.advance_ms(120_000);
    assert_eq!(source.fetch(1).await.unwrap(), None);
    handle.stop(false).await;
    // Its worker may answer once more on the connection that is open.
    let gone = wait_until("nobody there", async || source.fetch(1).await.err()).await.to_string();
    assert!(!gone.contains("x-baodan") && gone.contains("auth-service"), "{gone}");
}
