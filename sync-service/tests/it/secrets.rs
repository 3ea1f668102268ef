use platform::seal::Sealer;
use sea_orm::{ConnectionTrait, Statement};
use secrecy::SecretString;
use serde_json::json;
use sync_service::{Ctx, rewrap};
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
    assert_eq!(rewrap::run(&both).await.unwrap(), 3);
    assert_eq!(rewrap::run(&both).await.unwrap(), 0);
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
