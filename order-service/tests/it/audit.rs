//! Goods, customers and invoices are audited; order states have their own history.

use contracts::events::AuditRecorded;
use serde_json::{Value, json};

use crate::{order_body, paid, service_goods, start};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn changes_of_goods_customers_and_invoices_are_told_with_before_and_after() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({})).await;
    let path = format!("/api/goods/{goods}");
    app.put(&path).as_account(7, "丽丽").json(&json!({"price": 700})).send().await.expect_status(200);
    app.put(&path).json(&json!({"price": -1})).send().await.expect_status(400);
    let customer = json!({"mobile": "13800000000", "nick_name": "王强"});
    app.post("/api/customer").json(&customer).send().await.expect_status(200);
    app.post("/api/customer").json(&customer).send().await.expect_status(400);
    let number = paid(&app, &order_body(goods)).await;
    let invoice = format!("/api/order/{number}/invoice");
    for (title, state) in [("个人", 1), ("王强", 2)] {
        let body = json!({"invoice_title": title, "state": state});
        app.post(&invoice).json(&body).send().await.expect_status(200);
    }
    app.post(&invoice).json(&json!({"invoice_title": "x"})).send().await.expect_status(400);
    app.delete(&path).send().await.expect_status(200);
    bed.settle().await;

    let entries = bed.published::<AuditRecorded>(6).await;
    let actions: Vec<&str> = entries.iter().map(|e| e.action.as_str()).collect();
    assert_eq!(
        actions,
        ["goods.add", "goods.modify", "customer.add", "invoice.save", "invoice.save", "goods.delete"]
    );
    let modified = &entries[1];
    assert_eq!((modified.actor.id, modified.target_id.clone()), (7, goods.to_string()));
    assert_eq!((&modified.before["price"], &modified.after["price"]), (&json!(500), &json!(700)));
    assert_eq!(entries[2].after["mobile"], "13800000000");
    assert_eq!((&entries[3].before, &entries[3].target_id), (&Value::Null, &number));
    let (before, after) = (&entries[4].before["invoice_title"], &entries[4].after["invoice_title"]);
    assert_eq!((before, after), (&json!("个人"), &json!("王强")));
    assert_eq!((&entries[5].before["price"], &entries[5].after), (&json!(700), &Value::Null));
    bed.finish().await;
}
