//! An order's timeline through the gateway: what order-service knows, and what it asks sync-service for.

use serde_json::{Value, json};
use testing::{Client, Mode};

use crate::system::{PASSWORD, System};

async fn token(client: &Client) -> String {
    let body = json!({"account": "admin", "password": PASSWORD});
    let answer = client.post("/api/access/token").json(&body).send().await.expect_status(200).json();
    answer["data"]["token"].as_str().unwrap().to_owned()
}

fn kinds(timeline: &Value) -> Vec<&str> {
    timeline["data"].as_array().unwrap().iter().map(|e| e["kind"].as_str().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_timeline_follows_each_change_to_its_receiver_and_says_so_when_it_cannot() {
    let mut system = System::start().await;
    system.tell_the_story();
    let client = Client::plain(&system.url);
    let token = token(&client).await;
    let get = async |path: &str| client.get(path).bearer(&token).send().await.expect_status(200).json();
    let orders = get("/api/order?start_date=2020-01-01&limit=100").await;
    let mut followed = None;
    for order in orders["date"].as_array().unwrap() {
        let path = format!("/api/order/{}/timeline", order["number"].as_str().unwrap());
        let timeline = get(&path).await["data"].clone();
        assert_eq!(timeline["callbacks"], json!({"available": true, "reason": ""}), "{timeline}");
        let entries = timeline["data"].as_array().unwrap();
        let times: Vec<i64> = entries.iter().map(|e| e["at"].as_i64().unwrap()).collect();
        assert!(times.is_sorted(), "{timeline}");
        let kinds = kinds(&timeline);
        if kinds.contains(&"attempt") {
            let place = |kind: &str| kinds.iter().position(|k| *k == kind).unwrap();
            assert!(place("change") < place("message") && place("message") < place("attempt"), "{kinds:?}");
            followed = Some((path, timeline));
        }
    }
    let (path, timeline) = followed.expect("an order of the story that a partner was told of");
    client
        .get(&path.replace("/api/", "/internal/").replace("timeline", "callbacks"))
        .send()
        .await
        .expect_status(404);
    if Mode::current() == Mode::Distributed {
        let sync = system.places("sync-service")[0];
        system.end(sync).await;
        let lacking = get(&path).await["data"].clone();
        assert_eq!(lacking["callbacks"]["available"], false, "{lacking}");
        let changes = kinds(&timeline).iter().filter(|k| **k == "change").count();
        assert_eq!(kinds(&lacking), vec!["change"; changes]);
        system.begin(sync).await;
        assert_eq!(get(&path).await["data"], timeline, "all of it is back");
    }
    system.stop().await;
}
