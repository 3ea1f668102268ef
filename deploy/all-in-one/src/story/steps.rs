use secrecy::{ExposeSecret, SecretString};
use serde_json::{Value, json};

use super::{
    client::{Client, wait_for},
    inbox::{Inbox, Received},
    line,
};

/// The story while it is told.
pub struct Story<'a> {
    client: Client,
    inbox: &'a Inbox,
    /// Makes names unique, so that the story can be told again to the same system.
    tag: String,
}

impl<'a> Story<'a> {
    pub async fn begin(url: &str, inbox: &'a Inbox, password: &SecretString) -> Result<Self, String> {
        let mut client = Client::new(url)?;
        let answer = client
            .post("/api/access/token", &json!({"account": "admin", "password": password.expose_secret()}))
            .await?;
        client.sign_in_with(text(&answer, "/data/token")?);
        line("1. 管理员登录，得到令牌", "the operator signs in and gets a token");
        let tag = platform::seal::sha256_hex(platform::seal::random_token(9).as_bytes())[..6].to_owned();
        Ok(Self { client, inbox, tag })
    }

    pub async fn tell(&self) -> Result<(), String> {
        let report_goods = self.report_becomes_goods().await?;
        let partner = self.partner().await?;
        self.client.put(&format!("/api/goods/{report_goods}"), &json!({"partner_id": partner})).await?;
        let secret = self.subscribe(partner).await?;
        self.paid_order_is_called_back(report_goods, &secret).await?;
        self.supplier_works_an_order_off(partner, &secret).await?;
        line(
            "故事讲完了：每一步都是经网关的真实调用。",
            "That was the whole story; every step was a real call through the gateway.",
        );
        Ok(())
    }

    async fn report_becomes_goods(&self) -> Result<i64, String> {
        let title = format!("2026 行业报告 {}", self.tag);
        let body = json!({
            "title": title, "cover": "https://example.com/cover.png", "intro": "一份示例报告", "directory": "第一章",
            "file": {"file_name": "report", "src": "reports/report.pdf", "format": "pdf", "size": "1024"},
            "price": 99, "read_count": 3, "status": 1,
        });
        let answer = self.client.post("/api/report", &body).await?;
        let report = number(&answer, "/date/id")?;
        let path = format!("/api/goods?report_id={report}");
        let goods = wait_for("the report's goods", async || {
            Ok(self.client.get(&path).await?.pointer("/data/data/0/id").and_then(Value::as_i64))
        })
        .await?;
        line(
            &format!("2. 发布报告 {report}，事件让它成为商品 {goods}"),
            &format!("report {report} is published; its event makes it goods {goods}"),
        );
        Ok(goods)
    }

    async fn partner(&self) -> Result<i64, String> {
        let body = json!({
            "name": format!("示例合作方 {}", self.tag), "login": format!("partner-{}", self.tag),
            "password": platform::seal::random_token(12),
        });
        let answer = self.client.post("/api/partner", &body).await?;
        let partner = number(&answer, "/data/id")?;
        line(&format!("3. 建立合作方 {partner}"), &format!("partner {partner} is set up"));
        Ok(partner)
    }

    async fn subscribe(&self, partner: i64) -> Result<String, String> {
        let body =
            json!({"partner_id": partner, "url": self.inbox.url(), "dialect": "standard", "types": [1, 2]});
        let answer = self.client.post("/api/callback/subscription", &body).await?;
        line(
            &format!("4. 合作方订阅回调，地址 {}", self.inbox.url()),
            "the partner subscribes to callbacks; the signing secret is shown this once",
        );
        text(&answer, "/data/secret")
    }

    async fn place_and_pay(&self, goods: i64, fen: i64, inputs: Value) -> Result<String, String> {
        let body = json!({
            "customer": {"mobile": "18434819907", "nick_name": "小明"}, "goods_id": goods, "size": 1,
            "inputs": inputs, "need_num_0": 100, "outer_id": format!("demo-{}-{goods}", self.tag),
        });
        let answer = self.client.post("/api/order", &body).await?;
        let order = text(&answer, "/data/number")?;
        let payment = json!({"amount": fen, "payment_channel": 1, "third_trade_num": format!("T{order}")});
        self.client.post(&format!("/api/order/{order}/pay"), &payment).await?;
        Ok(order)
    }

    async fn paid_order_is_called_back(&self, goods: i64, secret: &str) -> Result<(), String> {
        let order = self.place_and_pay(goods, 9900, json!({})).await?;
        line(
            &format!("5. 顾客下单 {order}，付款 99 元"),
            &format!("a customer places order {order} and pays 99 yuan"),
        );
        let calls = self.callbacks(&order, secret, 2).await?;
        let last = calls.last().and_then(Received::order).unwrap_or_default();
        if last["state"] != 3 {
            return Err(format!("the last callback of {order} does not say completed: {last}"));
        }
        line(
            &format!("6. 合作方收到 {} 次回调，签名正确：下单 → 已付款完成", calls.len()),
            &format!(
                "the partner received {} callbacks, signatures verified: placed → paid and completed",
                calls.len()
            ),
        );
        Ok(())
    }

    async fn supplier_works_an_order_off(&self, partner: i64, secret: &str) -> Result<(), String> {
        let body = json!({
            "name": format!("示例业务 {}", self.tag), "kind": "service", "price": 500, "partner_id": partner,
            "initial_state": "wks", "input_labels": ["链接"],
        });
        let goods = number(&self.client.post("/api/goods", &body).await?, "/data/id")?;
        let supplier =
            self.client.post("/api/supplier", &json!({"name": format!("示例供应商 {}", self.tag)})).await?;
        let supplier = number(&supplier, "/data/id")?;
        let key = self
            .client
            .post(&format!("/api/supplier/{supplier}/key"), &json!({"goods_ids": [goods]}))
            .await?;
        let key = text(&key, "/data/key")?;
        let order = self.place_and_pay(goods, 500, json!({"aa": "https://example.com/video/1"})).await?;
        line(
            &format!("7. 业务商品 {goods} 的订单 {order} 已付款，等待供应商"),
            &format!("order {order} for service goods {goods} is paid and waits for the supplier"),
        );
        let entry = format!("/admin_jiuwuxiaohun.php?m=home&c=api&goods_id={goods}&apikey={key}");
        let row = wait_for("the supplier's order", async || {
            let answer = self.client.get(&format!("{entry}&a=down_orders&state=wks&format=json")).await?;
            Ok(answer.pointer("/rows/0").cloned())
        })
        .await?;
        let id = text(&row, "/id")?;
        line(
            &format!("8. 供应商领到订单 {id}，状态变为进行中"),
            &format!("the supplier downloads order {id}; it is in progress now"),
        );
        for step in ["start_num=1000&now_num=1050", "now_num=1100&end_num=1100&order_state=ywc"] {
            let answer = self.client.get(&format!("{entry}&a=edit&order_id={id}&{step}")).await?;
            if answer["status"] != true {
                return Err(format!("edit was refused: {answer}"));
            }
        }
        let calls = self.callbacks(&order, secret, 4).await?;
        let states: Vec<i64> = calls.iter().filter_map(|c| c.order()?["fulfil_state"].as_i64()).collect();
        if states.last() != Some(&3) {
            return Err(format!("the callbacks of {order} do not end with done: {states:?}"));
        }
        line(
            &format!("9. 供应商完成订单，合作方依次收到 {} 次回调（状态 {states:?}）", calls.len()),
            &format!(
                "the supplier finishes; the partner received {} callbacks in order (states {states:?})",
                calls.len()
            ),
        );
        Ok(())
    }

    /// Waits for at least `n` callbacks about `order`, up to the last state; checks signatures and sequence.
    async fn callbacks(&self, order: &str, secret: &str, n: usize) -> Result<Vec<Received>, String> {
        let calls = wait_for("the callbacks", async || {
            let calls = self.inbox.about(order);
            let finished = calls
                .last()
                .and_then(Received::order)
                .is_some_and(|o| o["fulfil_state"].as_i64().is_none_or(|s| s == 3) && o["state"] == 3);
            Ok((calls.len() >= n && finished).then_some(calls))
        })
        .await?;
        if let Some(forged) = calls.iter().find(|c| !c.is_signed_by(secret)) {
            return Err(format!("callback {} is not signed by the subscription's secret", forged.id));
        }
        let sequence: Vec<i64> = calls.iter().filter_map(|c| c.order()?["order_seq"].as_i64()).collect();
        if !sequence.windows(2).all(|w| w[1] == w[0] + 1) {
            return Err(format!("callbacks of {order} came out of order: {sequence:?}"));
        }
        Ok(calls)
    }
}

fn text(answer: &Value, pointer: &str) -> Result<String, String> {
    answer
        .pointer(pointer)
        .and_then(Value::as_str)
        .map(str::to_owned)
        .ok_or_else(|| format!("no {pointer} in {answer}"))
}

fn number(answer: &Value, pointer: &str) -> Result<i64, String> {
    answer.pointer(pointer).and_then(Value::as_i64).ok_or_else(|| format!("no {pointer} in {answer}"))
}
