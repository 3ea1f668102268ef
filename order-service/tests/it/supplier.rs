use contracts::events::OrderStateChanged;
use serde_json::{Value, json};

use crate::{
    entry, events_of, history, order, order_body, paid, place, publish_key, service_goods, start,
    supplier_key, with,
};

fn ids(answer: &Value) -> Vec<String> {
    assert_eq!(answer["status"], true, "{answer}");
    answer["rows"].as_array().unwrap().iter().map(|r| r["id"].as_str().unwrap().to_owned()).collect()
}

/// The drop-in's refusal: three spellings of the sentence, an empty list, a total.
fn refused(answer: &Value) -> &str {
    assert_eq!(answer["status"], false, "{answer}");
    assert_eq!((&answer["rows"], &answer["total"]), (&json!([]), &json!(0)));
    let message = answer["info"].as_str().unwrap();
    assert!(!message.is_empty());
    assert_eq!((&answer["msg"], &answer["message"]), (&answer["info"], &answer["info"]));
    message
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_supplier_downloads_works_and_finishes_an_order() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let number = paid(&app, &with(order_body(goods), json!({"size": 100, "need_num_1": 7}))).await;
    let base = format!("goods_id={goods}&apikey={key}");
    let answer = entry(&app, &format!("a=down_orders&{base}&state=wks&format=json")).await;
    assert_eq!(answer["total"], 1);
    let row = &answer["rows"][0];
    assert_eq!(
        (&row["order_state"], &row["need_num_0"], &row["need_num_1"]),
        (&json!(1), &json!("100"), &json!("7"))
    );
    assert_eq!(
        (&row["aa"], &row["order_amount"], &row["goods_id"]),
        (&json!("https://x/1"), &json!("500.00"), &json!(goods.to_string()))
    );
    let id = row["id"].as_str().unwrap();
    assert!(id.len() < 12);
    let edit = |what: &str| format!("a=edit&{base}&order_id={id}&{what}");
    for _ in 0..3 {
        assert_eq!(entry(&app, &edit("start_num=1000&now_num=1050")).await, json!({"status": true}));
    }
    assert_eq!(
        entry(&app, &edit("now_num=1100&end_num=1100&order_state=ywc&start_num=")).await,
        json!({"status": true})
    );
    assert_eq!(
        entry(&app, &edit("order_state=YWC")).await,
        json!({"status": true}),
        "a repeat changes nothing"
    );
    let o = order(&app, &number).await;
    assert_eq!(
        (&o["fulfil_state"], &o["counters"]["start_num"], &o["counters"]["now_num"]),
        (&json!("ywc"), &json!(1000), &json!(1100))
    );
    assert!(o["fulfilled_at"].as_i64().unwrap() > 0 && o["counters"]["start_time"].as_i64().unwrap() > 0);
    assert_eq!(events_of(&history(&app, &o["id"]).await), ["place", "pay", "claim", "edit"]);
    let events = bed.published::<OrderStateChanged>(4).await;
    assert_eq!(events.len(), 4, "a counter's tick is no change of state");
    assert_eq!((events[2].actor.id, events[2].actor.name.as_str()), (101, "供应商 1"));
    assert_eq!((events[3].order.start_num, events[3].order.now_num), (1000, 1100));
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn queued_and_not_started_orders_move_on_unless_told_not_to() {
    let (bed, app) = start().await;
    for state in ["dlz", "wks"] {
        let goods = service_goods(&app, json!({"initial_state": state})).await;
        let key = supplier_key(&bed, goods, &[goods]).await;
        let number = paid(&app, &order_body(goods)).await;
        let ask = |state: &str, more: &str| {
            format!("a=down_orders&goods_id={goods}&apikey={key}&state={state}&format=json{more}")
        };
        for more in [
            "&chage_state=false",
            "&change_state=false",
            "&chage_state=0",
            "&chage_state=true&change_state=FALSE",
        ] {
            assert_eq!(ids(&entry(&app, &ask(state, more)).await).len(), 1, "{more}");
            assert_eq!(order(&app, &number).await["fulfil_state"], state, "{more}");
        }
        assert_eq!(ids(&entry(&app, &ask(&state.to_uppercase(), "")).await).len(), 1);
        assert_eq!(order(&app, &number).await["fulfil_state"], "jxz");
        assert!(ids(&entry(&app, &ask(state, "")).await).is_empty());
        for _ in 0..2 {
            let again = entry(&app, &ask("jxz", "&chage_state=true")).await;
            assert_eq!((ids(&again).len(), &again["rows"][0]["order_state"]), (1, &json!(2)));
        }
        refused(&entry(&app, &ask(state, "&chage_state=perhaps")).await);
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_and_directions_follow_the_rules() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"price": 0})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let mut placed = Vec::new();
    for _ in 0..7 {
        let number = place(&app, &order_body(goods)).await["number"].as_str().unwrap().to_owned();
        placed.push(order(&app, &number).await["service_no"].to_string());
    }
    let newest: Vec<String> = placed.iter().rev().cloned().collect();
    let ask = async |more: &str| {
        entry(&app, &format!("a=down_orders&goods_id={goods}&apikey={key}&format=json&{more}")).await
    };
    let all = ask("state=wks&chage_state=false&page_size=3").await;
    assert_eq!((ids(&all), &all["total"]), (newest.clone(), &json!(7)), "page_size alone returns everything");
    for (page, expected) in
        [(1, &newest[..3]), (2, &newest[3..6]), (3, &newest[6..]), (4, &[][..]), (1_000_000_000, &[][..])]
    {
        let answer = ask(&format!("state=wks&chage_state=false&page_size=3&page={page}")).await;
        assert_eq!((ids(&answer), &answer["total"]), (expected.to_vec(), &json!(7)), "page {page}");
    }
    let oldest = ask("state=wks&chage_state=false&sort_type=ASC&page=1&page_size=2").await;
    assert_eq!(ids(&oldest), placed[..2]);
    // With the change on, page 1 is always the next ones.
    let first = ask("state=wks&sort_type=asc&page=1&page_size=2").await;
    assert_eq!((ids(&first), &first["total"]), (placed[..2].to_vec(), &json!(7)));
    let next = ask("state=wks&sort_type=asc&page=1&page_size=2").await;
    assert_eq!((ids(&next), &next["total"]), (placed[2..4].to_vec(), &json!(5)));
    let rest = ask("state=wks").await;
    assert_eq!((ids(&rest), &rest["total"]), (newest[..3].to_vec(), &json!(3)));
    // jxz has pages whether asked for or not.
    let running = ask("state=jxz&page_size=4").await;
    assert_eq!((ids(&running), &running["total"]), (newest[..4].to_vec(), &json!(7)));
    assert_eq!(ids(&ask("state=jxz&page_size=4&page=2").await), newest[4..]);
    for bad in [
        "state=wks&page=0",
        "state=wks&page=-1",
        "state=wks&page=x",
        "state=wks&page_size=0",
        "state=wks&sort_type=up",
        "state=nope",
        "state=",
    ] {
        refused(&ask(bad).await);
    }
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn query_and_body_are_merged_and_the_interface_is_named_in_any_case() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"price": 0})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    place(&app, &order_body(goods)).await;
    let form = format!("goods_id={goods}&apikey={key}&state=wks&chage_state=false");
    let post =
        app.post("/admin_jiuwuxiaohun.php?m=ADMIN&c=Api&a=Down_Orders&format=json&state=jxz").anonymous();
    assert_eq!(ids(&post.form(&form).send().await.expect_status(200).json()).len(), 1, "the body wins");
    let body = json!({"m": "home", "c": "api", "a": "down_orders", "goods_id": goods, "apikey": key, "state": "wks", "format": "json"});
    assert_eq!(
        ids(&app.post("/admin_jiuwuxiaohun.php").anonymous().json(&body).send().await.json()).len(),
        1
    );
    for wrong in [
        "m=shop&c=api&a=down_orders",
        "m=home&c=x&a=down_orders",
        "m=home&c=api&a=drop_orders",
        "",
        "a=down_orders",
    ] {
        let answer =
            app.get(&format!("/admin_jiuwuxiaohun.php?{wrong}&format=json")).anonymous().send().await;
        refused(&answer.expect_status(200).json());
    }
    let broken =
        app.post("/admin_jiuwuxiaohun.php").anonymous().body("application/json", "{\"m\":").send().await;
    refused(&broken.expect_status(200).json());
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_opens_its_own_goods_until_it_is_revoked() {
    let (bed, app) = start().await;
    let (mine, other) = (service_goods(&app, json!({})).await, service_goods(&app, json!({})).await);
    let key = supplier_key(&bed, 1, &[mine]).await;
    let theirs = supplier_key(&bed, 2, &[other]).await;
    let number = paid(&app, &order_body(mine)).await;
    let id = order(&app, &number).await["service_no"].clone();
    let down =
        |goods: i64, key: &str| format!("a=down_orders&goods_id={goods}&apikey={key}&state=wks&format=json");
    let messages: Vec<String> = {
        let mut all = Vec::new();
        for query in
            [down(other, &key), down(mine, &theirs), down(mine, "wrong"), down(mine, ""), down(999, &key)]
        {
            all.push(refused(&entry(&app, &query).await).to_owned());
        }
        all
    };
    assert!(messages.iter().all(|m| !m.contains(&key) && !m.contains(&theirs)), "{messages:?}");
    for (query, why) in [
        (
            format!("a=edit&goods_id={mine}&order_id={id}&apikey={theirs}&order_state=jxz"),
            "another supplier's key",
        ),
        (
            format!("a=edit&goods_id={other}&order_id={id}&apikey={theirs}&order_state=jxz"),
            "an order of other goods",
        ),
        (format!("a=refund&order_id={id}&apikey={theirs}"), "another supplier's refund"),
        (format!("a=edit&goods_id={mine}&order_id=424242&apikey={key}&order_state=jxz"), "no such order"),
        (format!("a=edit&order_id={id}&apikey={key}&order_state=jxz"), "no goods_id"),
    ] {
        refused(&entry(&app, &query).await);
        assert_eq!(order(&app, &number).await["fulfil_state"], "wks", "{why}");
    }
    publish_key(&bed, 1, 3, &key, &[mine], false).await;
    refused(&entry(&app, &down(mine, &key)).await);
    publish_key(&bed, 1, 2, &key, &[mine], true).await;
    refused(&entry(&app, &down(mine, &key)).await);
    publish_key(&bed, 1, 4, &key, &[mine], true).await;
    assert_eq!(ids(&entry(&app, &down(mine, &key)).await).len(), 1);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_move_the_table_lacks_is_refused_with_the_state_and_the_next_ones() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"initial_state": "dlz"})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let number = paid(&app, &order_body(goods)).await;
    let id = order(&app, &number).await["service_no"].clone();
    let edit = async |what: &str| {
        entry(&app, &format!("a=edit&goods_id={goods}&order_id={id}&apikey={key}&{what}")).await
    };
    let answer = edit("order_state=ywc&now_num=5").await;
    let message = refused(&answer);
    assert!(message.contains("dlz（队列中）") && message.contains("wks、jxz"), "{message}");
    assert_eq!(answer["data"], json!({"state": "dlz", "allowed": ["wks", "jxz", "ytd", "tdz"]}));
    assert_eq!(order(&app, &number).await["counters"]["now_num"], 0, "nothing of a refused edit is kept");
    assert_eq!(edit("start_num=0").await, json!({"status": true}));
    assert_eq!(order(&app, &number).await["fulfil_state"], "dlz");
    assert_eq!(edit("start_num=12").await, json!({"status": true}));
    assert_eq!(order(&app, &number).await["fulfil_state"], "wks", "a start value makes it ready");
    for (what, state) in [
        ("jxz", "jxz"),
        ("wks", "wks"),
        ("jxz", "jxz"),
        ("dlsb&login_state=3", "dlsb"),
        ("gmz", "gmz"),
        ("jxz", "jxz"),
        ("ywc", "ywc"),
        ("bdz", "bdz"),
    ] {
        assert_eq!(edit(&format!("order_state={what}")).await, json!({"status": true}), "{what}");
        assert_eq!(order(&app, &number).await["fulfil_state"], state);
    }
    for bad in [
        "order_state=nope",
        "now_num=-1",
        "start_num=1.5",
        "end_num=99999999999999999999",
        "login_state=9",
        "order_state=1",
    ] {
        refused(&edit(bad).await);
    }
    assert_eq!(order(&app, &number).await["fulfil_state"], "bdz");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refund_gives_back_the_undelivered_share_once() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"price": 3})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let body = with(order_body(goods), json!({"size": 100}));
    for (prepare, ask, refund) in [
        ("start_num=500&now_num=520&order_state=jxz", "a=refund&now_num=530", "210"),
        ("start_num=500&order_state=jxz", "a=refund", "300"),
        ("start_num=500&order_state=jxz", "a=refund&order_state=ytd&now_num=900", "0"),
        ("start_num=500&order_state=jxz", "a=edit&order_state=ytd&now_num=501", "297"),
        ("start_num=500&order_state=tdz", "a=refund&now_num=400", "300"),
        ("", "a=refund&now_num=0", "300"),
    ] {
        let number = paid(&app, &body).await;
        let id = order(&app, &number).await["service_no"].clone();
        let call = async |m: &str, what: &str| {
            let path = format!(
                "/admin_jiuwuxiaohun.php?m={m}&c=Api&{what}&goods_id={goods}&order_id={id}&apikey={key}"
            );
            app.get(&path).anonymous().send().await.expect_status(200).json()
        };
        assert_eq!(call("home", &format!("a=edit&{prepare}")).await, json!({"status": true}));
        for _ in 0..2 {
            assert_eq!(call("Admin", ask).await, json!({"status": true}), "{ask}");
        }
        let o = order(&app, &number).await;
        assert_eq!(
            (&o["fulfil_state"], &o["refund"], &o["state"]),
            (&json!("ytd"), &json!(refund), &json!(3)),
            "{prepare} {ask}"
        );
        refused(&call("home", "a=edit&order_state=jxz").await);
        refused(&call("home", "a=edit&now_num=5000").await);
        assert_eq!(events_of(&history(&app, &o["id"]).await).iter().filter(|e| **e == "refund").count(), 1);
    }
    let done = paid(&app, &body).await;
    let id = order(&app, &done).await["service_no"].clone();
    for state in ["jxz", "ywc"] {
        entry(&app, &format!("a=edit&goods_id={goods}&order_id={id}&apikey={key}&order_state={state}")).await;
    }
    refused(&entry(&app, &format!("a=refund&order_id={id}&apikey={key}")).await);
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn text_formats_write_a_line_per_order_and_their_errors_as_one_line() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"price": 0, "presets": [{"name": "短", "format": "[id]"}]})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let evil = with(order_body(goods), json!({"inputs": {"aa": "=1+1", "bb": "<b>,\"\r\nx"}}));
    let number = place(&app, &evil).await["number"].as_str().unwrap().to_owned();
    let id = order(&app, &number).await["service_no"].clone();
    let text = async |more: &str| {
        let path = format!(
            "/admin_jiuwuxiaohun.php?m=home&c=api&a=down_orders&goods_id={goods}&apikey={key}&state=wks{more}"
        );
        app.get(&path).anonymous().send().await.expect_status(200)
    };
    let keep = "&chage_state=false&format=";
    assert_eq!(text("").await.text(), "", "no format anywhere: nothing is written");
    assert_eq!(order(&app, &number).await["fulfil_state"], "wks", "and nothing handed out");
    let txt = text(&format!("{keep}txt")).await;
    assert_eq!(
        (txt.text(), txt.header("content-type")),
        (format!("{id}----=1+1----1\n"), "text/plain; charset=utf-8")
    );
    assert_eq!(text(&format!("{keep}{}", "%E7%9F%AD")).await.text(), format!("{id}\n"));
    assert_eq!(
        text(&format!("{keep}{{id}}%7C%5Bbb%5D%7C{{nope}}%5Cn")).await.text(),
        format!("{id}|<b>,\"  x|{{nope}}\n")
    );
    let csv = text(&format!("{keep}csv")).await;
    let lines = csv.text();
    assert!(lines.starts_with("id,user_note,aa,bb,"), "{lines}");
    assert!(lines.contains(&format!("\r\n{id},,\"'=1+1\",\"<b>,\"\"\r\nx\",")), "{lines}");
    let bad = text("&format=txt&apikey=<script>").await.text();
    assert!(
        bad.starts_with("<p class=\"error\">") && bad.ends_with("</p>\n") && !bad.contains("<script>"),
        "{bad}"
    );
    assert!(text(&format!("{keep}{}", "{id}".repeat(201))).await.text().starts_with("<p class=\"error\">"));
    app.put(&format!("/api/goods/{goods}"))
        .json(&json!({"format": "{id}={need_num_0}"}))
        .send()
        .await
        .expect_status(200);
    assert_eq!(text("").await.text(), format!("{id}=1\n"), "the goods' own template");
    assert_eq!(order(&app, &number).await["fulfil_state"], "jxz");
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_repeated_batch_brings_the_same_rows_again_and_no_others() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"price": 0})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    let ask = async |batch: &str, more: &str| {
        entry(
            &app,
            &format!("a=down_orders&goods_id={goods}&apikey={key}&state=wks&format=json&batch={batch}{more}"),
        )
        .await
    };
    assert!(ids(&ask("empty", "").await).is_empty());
    for _ in 0..5 {
        place(&app, &order_body(goods)).await;
    }
    let first = ask("b-1", "&page=1&page_size=3").await;
    place(&app, &order_body(goods)).await;
    for _ in 0..2 {
        let again = ask("b-1", "&page=1&page_size=3").await;
        assert_eq!((&again["rows"], &again["total"]), (&first["rows"], &json!(3)));
    }
    let rest = ask("b-2", "").await;
    assert_eq!(ids(&rest).len(), 3);
    assert!(ids(&rest).iter().all(|id| !ids(&first).contains(id)));
    assert!(ids(&ask("b-3", "").await).is_empty());
    assert_eq!(ids(&ask("empty", "").await).len(), 0, "a batch that brought nothing is not taken");
    let other = service_goods(&app, json!({})).await;
    publish_key(&bed, 1, 2, &key, &[goods, other], true).await;
    refused(
        &entry(&app, &format!("a=down_orders&goods_id={other}&apikey={key}&state=wks&format=json&batch=b-1"))
            .await,
    );
    bed.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn gzip_is_sent_to_whoever_asks() {
    let (bed, app) = start().await;
    let goods = service_goods(&app, json!({"price": 0})).await;
    let key = supplier_key(&bed, 1, &[goods]).await;
    for _ in 0..50 {
        place(&app, &order_body(goods)).await;
    }
    let path = format!(
        "/admin_jiuwuxiaohun.php?m=home&c=api&a=down_orders&goods_id={goods}&apikey={key}&state=wks&format=json&chage_state=false"
    );
    let plain = app.get(&path).anonymous().send().await.expect_status(200);
    assert_eq!((plain.header("content-encoding"), ids(&plain.json()).len()), ("", 50));
    let packed = app.get(&path).anonymous().header("accept-encoding", "gzip").send().await.expect_status(200);
    assert_eq!(packed.header("content-encoding"), "gzip");
    assert!(packed.bytes().len() * 4 < plain.bytes().len());
    bed.finish().await;
}
