//! What a change looks like to a partner: the public row and the bytes of both dialects
//! (`spec/partner-sync-api.md`, "What a sync returns", "Dialects").

use contracts::events::{OrderRow, OrderStateChanged};
use serde::Serialize;
use utoipa::ToSchema;

use crate::wire::seconds;

/// Own orders: no distributor.
pub const OWN: i16 = 1;
/// Orders placed through a distributor.
pub const DISTRIBUTOR: i16 = 2;

/// How customers' names and mobiles are shown to a partner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Privacy {
    #[default]
    Masked,
    Plain,
    None,
}

impl Privacy {
    /// Anything unknown is masked.
    pub fn from_word(word: &str) -> Self {
        match word {
            "plain" => Self::Plain,
            "none" => Self::None,
            _ => Self::Masked,
        }
    }
}

/// 1 or 2: the `type` of an order.
pub fn source_of(order: &OrderRow) -> i16 {
    if order.distributor_id == 0 { OWN } else { DISTRIBUTOR }
}

/// An order as partners see it. Amounts are fen as a string, times unix seconds, 0 = unset.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct PublicOrder<'a> {
    pub number: &'a str,
    /// The partner's own id, "" when it gave none.
    pub outer_id: &'a str,
    /// 1 own, 2 of a distributor.
    #[serde(rename = "type")]
    pub source: i16,
    pub distributor_id: i64,
    pub title: &'a str,
    pub goods_id: i64,
    pub size: i64,
    pub total: String,
    pub state: i16,
    /// null for report orders and before payment.
    pub fulfil_state: Option<i16>,
    pub order_seq: i64,
    pub checkout_at: i64,
    pub paid_at: i64,
    pub fulfilled_at: i64,
    pub updated_at: i64,
    pub start_num: i64,
    pub now_num: i64,
    pub end_num: i64,
    pub remark: &'a str,
    pub nick_name: String,
    pub mobile: String,
    /// What happened: `place`, `pay`, `cancel`, …
    pub event: &'a str,
    pub reason: &'a str,
    pub prev_state: Option<i16>,
    pub prev_fulfil_state: Option<i16>,
}

impl<'a> PublicOrder<'a> {
    pub fn new(change: &'a OrderStateChanged, privacy: Privacy) -> Self {
        let order = &change.order;
        let (nick_name, mobile) = shown(&order.customer.nick_name, &order.customer.mobile, privacy);
        Self {
            number: &order.number,
            outer_id: &order.outer_id,
            source: source_of(order),
            distributor_id: order.distributor_id,
            title: &order.goods.title,
            goods_id: order.goods.id,
            size: order.size,
            total: order.total_fen.to_string(),
            state: order.state.into(),
            fulfil_state: order.fulfil_state.map(Into::into),
            order_seq: change.order_seq,
            checkout_at: seconds(order.checkout_at),
            paid_at: seconds(order.paid_at),
            fulfilled_at: seconds(order.fulfilled_at),
            updated_at: seconds(order.updated_at),
            start_num: order.start_num,
            now_num: order.now_num,
            end_num: order.end_num,
            remark: &order.remark,
            nick_name,
            mobile,
            event: &change.event,
            reason: &change.reason,
            prev_state: change.previous.state.map(Into::into),
            prev_fulfil_state: change.previous.fulfil_state.map(Into::into),
        }
    }
}

/// What is said about a change besides the change.
#[derive(Debug, Clone, Copy)]
pub struct Said<'a> {
    pub event_id: &'a str,
    /// The event's type.
    pub kind: &'a str,
    /// RFC 3339.
    pub time: &'a str,
    /// The same, unix ms.
    pub at_ms: i64,
}

#[derive(Serialize)]
struct Standard<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    timestamp: &'a str,
    data: PublicOrder<'a>,
}

/// The body of the `standard` dialect; stored and signed as these bytes.
pub fn standard_body(
    said: &Said<'_>,
    change: &OrderStateChanged,
    privacy: Privacy,
) -> Result<String, serde_json::Error> {
    let data = PublicOrder::new(change, privacy);
    serde_json::to_string(&Standard { kind: said.kind, timestamp: said.time, data }).map(without_nul)
}

/// The form of the `gth` dialect, without its `sign`: that depends on the subscription's token.
pub fn gth_body(said: &Said<'_>, change: &OrderStateChanged) -> String {
    let order = &change.order;
    let number = |state: Option<i16>| state.map(|n| n.to_string()).unwrap_or_default();
    let mut form = url::form_urlencoded::Serializer::new(String::with_capacity(256));
    form.append_pair("outer_id", &order.outer_id)
        .append_pair("order_no", &order.number)
        .append_pair("status", &number(order.fulfil_state.map(Into::into)))
        .append_pair("state", &i16::from(order.state).to_string())
        .append_pair("prev_status", &number(change.previous.fulfil_state.map(Into::into)))
        .append_pair("order_seq", &change.order_seq.to_string())
        .append_pair("reason", &plain(&change.reason))
        .append_pair("start_num", &order.start_num.to_string())
        .append_pair("now_num", &order.now_num.to_string())
        .append_pair("end_num", &order.end_num.to_string())
        .append_pair("type", &source_of(order).to_string())
        .append_pair("event_id", said.event_id)
        .append_pair("timestamp", &seconds(said.at_ms).to_string());
    form.finish()
}

/// PostgreSQL's texts cannot hold U+0000, and no partner misses it.
fn without_nul(json: String) -> String {
    if json.contains("\\u0000") { json.replace("\\u0000", "") } else { json }
}

/// Unix day (of UTC) a moment falls on, as `feed_day` counts.
pub fn unix_day(ms: i64) -> i64 {
    ms.div_euclid(86_400_000)
}

/// A text as a column can hold it.
pub fn plain(text: &str) -> String {
    text.replace('\0', "")
}

/// Nick name and mobile as `privacy` allows.
pub fn shown(nick_name: &str, mobile: &str, privacy: Privacy) -> (String, String) {
    match privacy {
        Privacy::Plain => (nick_name.to_owned(), mobile.to_owned()),
        Privacy::Masked => (masked_name(nick_name), masked_mobile(mobile)),
        Privacy::None => (String::new(), String::new()),
    }
}

/// The first character, the rest as `*`: 张三丰 → 张**.
fn masked_name(name: &str) -> String {
    let mut chars = name.chars();
    let first = chars.next().map(String::from).unwrap_or_default();
    first + &"*".repeat(chars.count().min(8))
}

/// The first three and the last four digits of a full number; less of a short one.
fn masked_mobile(mobile: &str) -> String {
    let chars: Vec<char> = mobile.chars().collect();
    match chars.len() {
        0 => String::new(),
        1..8 => "*".repeat(chars.len()),
        n => chars[..3].iter().chain(&vec!['*'; n - 7]).chain(&chars[n - 4..]).collect(),
    }
}

#[cfg(test)]
pub mod samples {
    use contracts::events::OrderStateChanged;
    use serde_json::json;

    use super::Said;

    pub fn change() -> OrderStateChanged {
        serde_json::from_value(json!({
            "order": {
                "id": 71, "number": "202611210000000071", "outer_id": "A-1&b=2", "partner_id": 5, "distributor_id": 0,
                "customer": {"id": 3, "nick_name": "张三丰", "avatar": "", "mobile": "18434819907"},
                "goods": {"id": 9, "kind": "service", "title": "代练 🎮", "report_id": 0, "cover": "", "price_fen": 1000},
                "size": 2, "total_fen": 2000, "refund_fen": 0, "refund_due_fen": 0, "state": 3, "fulfil_state": 2,
                "payment": {"source": 1, "channel": 1, "third_trade_num": "", "third_trade_identity": ""},
                "checkout_at": 1_795_000_000_000_i64, "expire_at": 0, "paid_at": 1_795_000_001_000_i64, "fulfilled_at": 0,
                "updated_at": 1_795_000_002_000_i64, "start_num": 0, "now_num": 3, "end_num": 10, "remark": "",
            },
            "previous": {"state": 3, "fulfil_state": 1},
            "event": "claim", "order_seq": 3, "actor": {"kind": "system", "id": 0, "name": "test"}, "reason": "",
        }))
        .expect("a change")
    }

    pub fn said() -> Said<'static> {
        let time = "2026-11-18T15:06:42.000Z";
        Said { event_id: "evt_o1", kind: "order.state_changed", time, at_ms: 1_795_000_002_000 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_body_is_these_bytes() {
        let body = standard_body(&samples::said(), &samples::change(), Privacy::Masked).expect("JSON");
        let expected = concat!(
            r#"{"type":"order.state_changed","timestamp":"2026-11-18T15:06:42.000Z","data":{"#,
            r#""number":"202611210000000071","outer_id":"A-1&b=2","type":1,"distributor_id":0,"title":"代练 🎮","#,
            r#""goods_id":9,"size":2,"total":"2000","state":3,"fulfil_state":2,"order_seq":3,"checkout_at":1795000000,"#,
            r#""paid_at":1795000001,"fulfilled_at":0,"updated_at":1795000002,"start_num":0,"now_num":3,"end_num":10,"#,
            r#""remark":"","nick_name":"张**","mobile":"184****9907","event":"claim","reason":"","prev_state":3,"#,
            r#""prev_fulfil_state":1}}"#
        );
        assert_eq!(body, expected);
    }

    #[test]
    fn the_gth_form_is_these_bytes() {
        let expected = "outer_id=A-1%26b%3D2&order_no=202611210000000071&status=2&state=3&prev_status=1&order_seq=3\
            &reason=&start_num=0&now_num=3&end_num=10&type=1&event_id=evt_o1&timestamp=1795000002";
        assert_eq!(gth_body(&samples::said(), &samples::change()), expected);
    }

    #[test]
    fn customers_are_shown_as_the_partner_may_see_them() {
        let change = samples::change();
        let shown = |privacy| {
            let order = PublicOrder::new(&change, privacy);
            (order.nick_name, order.mobile)
        };
        assert_eq!(shown(Privacy::Masked), ("张**".into(), "184****9907".into()));
        assert_eq!(shown(Privacy::Plain), ("张三丰".into(), "18434819907".into()));
        assert_eq!(shown(Privacy::None), (String::new(), String::new()));
        assert_eq!(Privacy::from_word("whatever"), Privacy::Masked);
        assert_eq!(
            (masked_mobile("12345"), masked_mobile(""), masked_name("")),
            ("*****".into(), String::new(), String::new())
        );
    }

    #[test]
    fn a_null_character_reaches_no_body() {
        let mut change = samples::change();
        change.reason = "a\0b".into();
        change.order.remark = "x\0".into();
        let body = standard_body(&samples::said(), &change, Privacy::Masked).expect("JSON");
        assert!(body.contains(r#""reason":"ab""#) && !body.contains("u0000"), "{body}");
        assert!(gth_body(&samples::said(), &change).contains("reason=ab&"));
    }

    #[test]
    fn a_distributor_makes_type_two() {
        let mut change = samples::change();
        change.order.distributor_id = 4;
        assert_eq!(PublicOrder::new(&change, Privacy::Masked).source, DISTRIBUTOR);
    }
}
