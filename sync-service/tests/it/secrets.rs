use platform::{
    rewrap::{self, Mode},
    seal::Sealer,
};
use sea_orm::{ConnectionTrait, Statement};
use secrecy::SecretString;
use serde_json::json;
use sync_service::{Ctx, SEALED};
use testing::CallbackReceiver;

use crate::fixture::{Fixture, PARTNER, change};

async fn sealed(f: &Fixture) -> Vec<String> {
    let sql = "SELECT secret AS v FROM subscription UNION ALL SELECT api_token FROM subscription
        UNION ALL SELECT private_key FROM signing_key";
    let conn = f.app.db().conn();
    let rows = conn.query_all_raw(Statement::from_string(conn.get_database_backend(), sql)).await.unwrap();
    rows.iter().map(|r| r.try_get::<String>("", "v").unwrap()).filter(|v| !v.is_empty()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_move_to_a_new_envelope_key_while_all_goes_on() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    let body = json!({"partner_id": PARTNER, "url": receiver.url("/"), "dialect": "gth", "api_token": "t"});
    f.subscribe_with(body).await;
    f.publish(&[change(1, 1)]).await;
    f.send().await;
    let keys = f.bed.shared.settings.envelope_keys();
    let old = (keys[0].id.clone(), keys[0].secret.clone());
    let new = ("fresh".to_owned(), SecretString::from("a-quite-new-envelope-key-of-some-length-0042"));
    let ctx_with = |keys: Vec<(String, SecretString)>| {
        let mut ctx: Ctx = f.ctx.clone();
        ctx.platform.sealer = Sealer::new(keys).unwrap();
        ctx
    };
    assert!(sealed(&f).await.iter().all(|v| v.starts_with(&format!("v1.{}.", old.0))));
    let both = ctx_with(vec![new.clone(), old]);
    let rotate = async |mode| {
        let counts = rewrap::run(&both.platform.db, &both.platform.sealer, SEALED, mode).await.unwrap();
        let sum = |of: fn(&rewrap::Count) -> u64| counts.iter().map(of).sum::<u64>();
        assert_eq!((counts.len(), sum(|c| c.values)), (SEALED.len(), 3), "{counts:?}");
        (sum(|c| c.present), sum(|c| c.rewrapped), sum(|c| c.broken))
    };
    assert_eq!(rotate(Mode::Count).await, (0, 0, 0));
    assert_eq!(rotate(Mode::Rewrap).await, (3, 3, 0));
    assert_eq!(rotate(Mode::Rewrap).await, (3, 0, 0));
    assert!(sealed(&f).await.iter().all(|v| v.starts_with("v1.fresh.")));
    // The old key can go: the same signature is made without it.
    let alone = ctx_with(vec![new]);
    let names = std::sync::Arc::new(sync_service::delivery::guard::SystemNames);
    let engine = sync_service::delivery::engine::Engine::new(&alone.platform, names).await.unwrap();
    f.publish(&[change(1, 2)]).await;
    engine.run_once().await.unwrap();
    let received = receiver.received();
    assert_eq!(received.len(), 2);
    assert!(received.iter().all(|r| r.form().last().unwrap().0 == "sign"));
    assert!(received.iter().all(|r| r.header("webhook-signature").starts_with("v1,")));
    f.bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_opened_is_counted_and_keeps_nothing_else_from_moving() {
    let receiver = CallbackReceiver::start().await;
    let f = Fixture::new(&[&receiver]).await;
    for partner in 1..=600 {
        f.subscribe_with(json!({"partner_id": partner, "url": receiver.url("/")})).await;
    }
    let tx = f.app.db().write_tx().await.unwrap();
    let damage =
        "UPDATE subscription SET secret = 'v1.gone.AAAA' WHERE id IN (SELECT min(id) FROM subscription)";
    tx.execute_unprepared(damage).await.unwrap();
    tx.commit().await.unwrap();
    let old = f.bed.shared.settings.envelope_keys()[0].clone();
    let new = ("fresh".to_owned(), SecretString::from("a-quite-new-envelope-key-of-some-length-0042"));
    let sealer = Sealer::new(vec![new, (old.id, old.secret)]).unwrap();
    let counts = rewrap::run(f.app.db(), &sealer, SEALED, Mode::Rewrap).await.unwrap();
    let expected = rewrap::Count { values: 600, present: 599, rewrapped: 599, broken: 1 };
    assert_eq!(counts[0], expected);
    assert!(!counts[0].is_done());
    f.bed.finish().await;
}
