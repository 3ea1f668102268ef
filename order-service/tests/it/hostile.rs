//! What a supplier's program, or somebody who plays one, may send.

use serde_json::{Value, json};
use testing::App;

use crate::{entry, order, order_body, paid, place, service_goods, start, supplier_key, with};

const ENTRY: &str = "/admin_jiuwuxiaohun.php";

fn refused(answer: &Value) -> &str {
    assert_eq!((&answer["status"], &answer["rows"]), (&json!(false), &json!([])), "{answer}");
    answer["msg"].as_str().unwrap()
}

async fn template(app: &App, base: &str, format: &str) -> String {
    let form = format!("{base}&format={format}");
    let answer =
        app.post(&format!("{ENTRY}?m=home&c=api&a=down_orders")).anonymous().form(&form).send().await;
    answer.text()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_giant_template_is_refused_in_one_line_and_hands_nothing_out() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"price": 0})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let number = place(&app, &order_body(goods)).await["number"].as_str().unwrap().to_owned();
    let base = format!("goods_id={goods}&apikey={key}&state=wks");
    let columns = "[id][aa][bb][cc][dd][ee][need_num_0][start_num][order_state][add_time]".repeat(1000);
    for (what, format) in [
        ("a mebibyte", "x".repeat(1024 * 1024)),
        ("nearly a mebibyte", "x".repeat(1024 * 1024 - 200)),
        ("every column a thousand times", columns),
        ("braces without end", "{".repeat(100_000)),
    ] {
        let answer = template(&app, &base, &format).await;
        let short = &answer[..answer.len().min(300)];
        assert!(answer.len() < 500 && !answer.contains("xxxx"), "{what}: {short}");
        assert!(answer.contains("error") || answer.contains("\"status\":false"), "{what}: {short}");
        assert_eq!(order(&app, &number).await["fulfil_state"], "wks", "{what}");
    }
    let saved = json!({"format": "{id}".repeat(10_000)});
    app.put(&format!("/api/goods/{goods}")).json(&saved).send().await.expect_status(400);
    app.post(&format!("/api/goods/{goods}/preview")).json(&saved).send().await.expect_status(400);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sql_and_markup_in_any_parameter_are_words_and_nothing_more() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"price": 0})).await;
    let other = service_goods(&app, json!({"price": 0})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let evil = "'; DROP TABLE orders; --<script>alert(1)</script>";
    let coded = "%27%3B%20DROP%20TABLE%20orders%3B%20--%3Cscript%3Ealert(1)%3C%2Fscript%3E";
    let inputs = json!({"inputs": {"aa": evil, "ee": "=HYPERLINK(\"http://x\")"}});
    let number = place(&app, &with(order_body(goods), inputs)).await["number"].as_str().unwrap().to_owned();
    place(&app, &order_body(other)).await;
    let id = order(&app, &number).await["service_no"].clone();
    let down = format!("a=down_orders&goods_id={goods}&apikey={key}&state=wks&format=json");
    for query in [
        format!("{down}&goods_id=1%20OR%201%3D1"),
        format!("{down}&state=wks%27%20OR%20%271%27%3D%271"),
        format!("{down}&apikey=%27%20OR%20%27%27%3D%27"),
        format!("{down}&page={coded}"),
        format!("{down}&sort_type=desc%3B{coded}"),
        format!("a=edit&goods_id={goods}&apikey={key}&order_id={id}%20OR%201%3D1&now_num=1"),
        format!("a=edit&goods_id={goods}&apikey={key}&order_id={id}&order_state={coded}"),
        format!("a=refund&apikey={key}&order_id=0x1"),
        format!("a={coded}&apikey={key}"),
    ] {
        let message = refused(&entry(&app, &query).await).to_owned();
        assert!(!message.contains("<script"), "{query}: {message}");
    }
    assert_eq!(order(&app, &number).await["fulfil_state"], "wks");
    // A batch's name may be any text; it names the same rows again, and this key's goods alone.
    for _ in 0..2 {
        let rows = entry(&app, &format!("{down}&batch={coded}")).await;
        assert_eq!((&rows["total"], &rows["rows"][0]["aa"]), (&json!(1), &json!(evil)));
    }
    let csv = app
        .get(&format!(
            "{ENTRY}?m=home&c=api&a=down_orders&goods_id={goods}&apikey={key}&state=jxz&format=csv"
        ))
        .anonymous()
        .send()
        .await;
    assert!(csv.header("content-type").starts_with("text/csv"), "{}", csv.header("content-type"));
    assert_eq!(csv.header("x-content-type-options"), "nosniff");
    assert!(csv.text().contains("\"'=HYPERLINK(\"\"http://x\"\")\""), "{}", csv.text());
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn counters_that_cannot_be_are_refused_and_odd_ones_pay_nothing_out_twice() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"price": 7})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let number = paid(&app, &with(order_body(goods), json!({"size": 3}))).await;
    let id = order(&app, &number).await["service_no"].clone();
    let base = format!("goods_id={goods}&apikey={key}&order_id={id}");
    for bad in [
        "-1",
        "-9223372036854775808",
        "9223372036854775807",
        "9223372036854775808",
        "1e3",
        "0x10",
        "NaN",
        "٣",
    ] {
        for counter in ["start_num", "now_num", "end_num"] {
            refused(&entry(&app, &format!("a=edit&{base}&{counter}={bad}")).await);
        }
        refused(&entry(&app, &format!("a=refund&{base}&now_num={bad}")).await);
    }
    let shown = order(&app, &number).await;
    assert_eq!((&shown["counters"]["now_num"], &shown["fulfil_state"]), (&json!(0), &json!("wks")));
    // Delivered less than nothing: all of it goes back, and not a fen more.
    assert_eq!(
        entry(&app, &format!("a=edit&{base}&order_state=jxz&start_num=1000000000000000")).await["status"],
        true
    );
    assert_eq!(entry(&app, &format!("a=edit&{base}&now_num=0")).await["status"], true);
    let twice = futures_util::future::join_all((0..2).map(|_| {
        let (app, query) = (app.clone(), format!("a=refund&{base}&now_num=0"));
        async move { entry(&app, &query).await }
    }));
    assert!(twice.await.iter().all(|answer| *answer == json!({"status": true})));
    assert_eq!(order(&app, &number).await["refund"], "21");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_entry_is_called_as_the_setting_says() {
    let clock = platform::clock::Clock::system();
    let bed = testing::TestBed::with(clock, |s| s.supplier.entry = "shop.php".into()).await;
    let app = bed.start(order_service::app::build(&bed.shared).await.unwrap()).await;
    let goods = service_goods(&app, json!({})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    paid(&app, &order_body(goods)).await;
    let call = format!("m=home&c=api&a=down_orders&goods_id={goods}&apikey={key}&state=wks&format=json");
    let there = app.get(&format!("/shop.php?{call}")).anonymous().send().await.expect_status(200).json();
    assert_eq!(there["total"], 1);
    refused(
        &app.post("/shop.php")
            .anonymous()
            .body("application/json", "{")
            .send()
            .await
            .expect_status(200)
            .json(),
    );
    let gone = app.get(&format!("{ENTRY}?{call}")).anonymous().send().await.json();
    assert!(refused(&gone).contains("不存在"), "{gone}");
    let shown =
        app.post(&format!("/api/goods/{goods}/preview")).json(&json!({})).send().await.expect_status(200);
    assert!(shown.json()["data"]["urls"][0]["url"].as_str().unwrap().starts_with("/shop.php?m=home"));
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_programs_with_one_key_share_the_work_and_a_key_for_other_goods_gets_none() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"price": 0})).await;
    let other = service_goods(&app, json!({"price": 0})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let stranger = supplier_key(&bed, 2, &[other]).await;
    for _ in 0..30 {
        place(&app, &order_body(goods)).await;
    }
    let down = |key: &str| format!("a=down_orders&goods_id={goods}&apikey={key}&state=wks&format=json");
    let newest = format!("{}&page=1&page_size=20", down(&key));
    let oldest = format!("{newest}&sort_type=asc");
    let strangers = down(&stranger);
    let (a, b, c) = tokio::join!(entry(&app, &newest), entry(&app, &oldest), entry(&app, &strangers));
    refused(&c);
    let rest = entry(&app, &down(&key)).await;
    let mut ids: Vec<&str> = [&a, &b, &rest]
        .into_iter()
        .flat_map(|answer| answer["rows"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap()))
        .collect();
    assert_eq!(ids.len(), 30);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 30, "each order went to one of them");
    bed.finish().await;
}
