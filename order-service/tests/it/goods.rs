use serde_json::json;

use crate::{blamed, order_body, report, report_goods, service_goods, start, with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_report_becomes_goods_and_its_newest_version_wins_in_any_order() {
    let (bed, app) = start().await;
    let goods = report_goods(&bed, &app, &report(7, 2)).await;
    let mut older = report(7, 1);
    older.title = "旧".into();
    let mut newer = report(7, 4);
    (newer.title, newer.price_fen, newer.status) = ("新".into(), 100, 2);
    let mut between = report(7, 3);
    between.title = "中".into();
    bed.publish(&[bed.event(&older), bed.event(&newer), bed.event(&between)]).await;
    bed.publish(&[bed.event(&between), bed.event(&report(8, 1))]).await;
    bed.settle().await;
    let shown = app.get(&format!("/api/goods/{goods}")).send().await.expect_status(200).json();
    let data = &shown["data"];
    assert_eq!(
        (&data["name"], &data["price"], &data["status"]),
        (&json!("新"), &json!(100), &json!(2)),
        "{shown}"
    );
    assert_eq!(
        (&data["kind"], &data["report_id"], &data["read_count"]),
        (&json!("report"), &json!(7), &json!(3))
    );
    let list = app.get("/api/goods?kind=report").send().await.json();
    assert_eq!(list["data"]["total"], 2, "{list}");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_withdrawn_or_deleted_report_cannot_be_ordered() {
    let (bed, app) = start().await;
    let goods = report_goods(&bed, &app, &report(7, 1)).await;
    let mut withdrawn = report(7, 2);
    withdrawn.status = 2;
    let mut deleted = report(7, 3);
    deleted.deleted = true;
    for change in [withdrawn, deleted] {
        bed.publish(&[bed.event(&change)]).await;
        bed.settle().await;
        let answer = app.post("/api/order").json(&order_body(goods)).send().await.expect_status(400).json();
        assert_eq!(answer["status"], 2, "{answer}");
    }
    app.get(&format!("/api/goods/{goods}")).send().await.expect_status(404);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn service_goods_are_kept_by_hand() {
    let (bed, app) = start().await;
    let id = service_goods(
        &app,
        json!({"partner_id": 3, "initial_state": "dlz", "input_labels": ["链接", "备注"], "unit": "个",
            "format": "{id}|{aa}", "presets": [{"name": "短", "format": "{id}"}]}),
    )
    .await;
    app.put(&format!("/api/goods/{id}"))
        .json(&json!({"price": "600", "status": 2}))
        .send()
        .await
        .expect_status(200);
    let shown = app.get(&format!("/api/goods/{id}")).send().await.expect_status(200).json();
    let data = &shown["data"];
    assert_eq!((&data["price"], &data["status"], &data["partner_id"]), (&json!(600), &json!(2), &json!(3)));
    assert_eq!((&data["initial_state"], &data["format"]), (&json!("dlz"), &json!("{id}|{aa}")));
    assert_eq!(data["presets"], json!([{"name": "短", "format": "{id}"}]));
    assert_eq!(data["input_labels"], json!(["链接", "备注"]));
    let list =
        app.get("/api/goods?name=赞&partner_id=3&status=2&limit=1").send().await.expect_status(200).json();
    assert_eq!(list["data"]["total"], 1);
    assert_eq!(list["data"]["data"][0]["id"], id);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_follows_a_report_is_not_changed_by_hand() {
    let (bed, app) = start().await;
    let goods = report_goods(&bed, &app, &report(7, 1)).await;
    let path = format!("/api/goods/{goods}");
    app.put(&path).json(&json!({"partner_id": 5})).send().await.expect_status(200);
    let refused = app.put(&path).json(&json!({"price": 1})).send().await.expect_status(400).json();
    assert_eq!(refused["status"], 2);
    assert_eq!(app.get(&path).send().await.json()["data"]["partner_id"], 5);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_goods_are_refused_by_field() {
    let (bed, app) = start().await;
    let good = json!({"name": "点赞", "kind": "service", "price": 500});
    for (change, field) in [
        (json!({"name": null}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": "x".repeat(201)}), "name"),
        (json!({"name": "a\u{0}b"}), "name"),
        (json!({"kind": "report"}), "kind"),
        (json!({"kind": "other"}), "kind"),
        (json!({"price": null}), "price"),
        (json!({"price": -1}), "price"),
        (json!({"price": "1.5"}), "price"),
        (json!({"price": "99999999999999999999"}), "price"),
        (json!({"initial_state": "jxz"}), "initial_state"),
        (json!({"input_labels": ["a", "b", "c", "d", "e", "f"]}), "input_labels"),
        (json!({"presets": [{"name": "csv", "format": "{id}"}]}), "presets.0.name"),
        (json!({"presets": [{"name": "a", "format": ""}]}), "presets.0.format"),
        (json!({"format": "x".repeat(8193)}), "format"),
        (json!({"partner_id": "abc"}), "partner_id"),
    ] {
        let answer = app.post("/api/goods").json(&with(good.clone(), change.clone())).send().await;
        let answer = answer.expect_status(400).json();
        assert_eq!(blamed(&answer), [field], "{change}");
    }
    for (path, status) in [
        ("/api/goods/0", 404),
        ("/api/goods/999", 404),
        ("/api/goods/abc", 404),
        ("/api/goods?page=0", 400),
        ("/api/goods?limit=1001", 400),
    ] {
        app.get(path).send().await.expect_status(status);
    }
    app.put("/api/goods/999").json(&json!({"price": 1})).send().await.expect_status(404);
    let english = app.post("/api/goods").header("accept-language", "en").json(&json!({})).send().await.json();
    assert_eq!(english["errors"]["name"], " name is required");
    bed.finish().await;
}
