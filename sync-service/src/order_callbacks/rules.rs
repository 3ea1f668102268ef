//! What can be an order's number; and the sentence: what is known goes in, one sentence in both languages comes out.

use platform::http::Message;

/// Whatever is no number is no order; some of it PostgreSQL would not even take as a text.
pub fn is_number(text: &str) -> bool {
    text.len() <= 32 && text.bytes().all(|b| b.is_ascii_digit())
}

/// What is known of one subscription that wants the order's changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub subscription_id: i64,
    /// `active`, `paused` or `disabled`.
    pub status: String,
    pub status_reason: String,
    /// Deliveries of this order by outcome.
    pub delivered: usize,
    pub parked: usize,
    pub waiting: usize,
    /// The one in front of those that wait.
    pub front: Option<Front>,
    /// When the last one was acknowledged, for people; "" = never.
    pub last_delivered: String,
}

/// The delivery that has to go next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Front {
    pub order_seq: i64,
    pub tries: i32,
    pub last_error: String,
    /// For people; "" = now.
    pub next_attempt: String,
}

/// Why the partner has, or has not, got the order's changes.
pub fn sentence(changes: usize, standings: &[Standing]) -> Message {
    if standings.is_empty() {
        return Message::new(
            format!("该订单有 {changes} 次变更，但没有任何订阅需要它们，因此没有发送回调"),
            format!(
                "the order has {changes} changes, but no subscription wants them, so no callback was made"
            ),
        );
    }
    // What is worst comes first: people ask because something is missing.
    let stuck = standings.iter().find(|s| s.waiting > 0).or_else(|| standings.iter().find(|s| s.parked > 0));
    match stuck {
        Some(s) if s.waiting > 0 => waiting(s),
        Some(s) => Message::new(
            format!(
                "订阅 {} 有 {} 次变更在用完全部重试后停放，需人工重发；已送达 {} 次",
                s.subscription_id, s.parked, s.delivered
            ),
            format!(
                "{} changes for subscription {} used up all tries and are parked until somebody resends them; {} were delivered",
                s.parked, s.subscription_id, s.delivered
            ),
        ),
        None => all_well(standings),
    }
}

fn waiting(s: &Standing) -> Message {
    let id = s.subscription_id;
    if s.status != "active" {
        let (zh, en) = if s.status == "paused" { ("已暂停", "paused") } else { ("已停用", "disabled") };
        return Message::new(
            format!("订阅 {id} {zh}（{}），{} 次变更已收集，恢复后发送", s.status_reason, s.waiting),
            format!(
                "subscription {id} is {en} ({}); {} changes are collected and go out when it is resumed",
                s.status_reason, s.waiting
            ),
        );
    }
    match &s.front {
        Some(f) if f.tries > 0 => {
            let behind = s.waiting - 1;
            let (next_zh, next_en) = if f.next_attempt.is_empty() {
                ("即将再次发送".to_owned(), "it goes again now".to_owned())
            } else {
                (format!("下次 {}", f.next_attempt), format!("the next try is at {}", f.next_attempt))
            };
            Message::new(
                format!(
                    "订阅 {id} 的接收方未确认第 {} 次变更：已尝试 {} 次（{}），{next_zh}；其后还有 {behind} 次变更按序等待",
                    f.order_seq, f.tries, f.last_error
                ),
                format!(
                    "the receiver of subscription {id} has not acknowledged change {}: {} tries ({}), {next_en}; {behind} later changes wait their turn",
                    f.order_seq, f.tries, f.last_error
                ),
            )
        }
        _ => Message::new(
            format!("订阅 {id} 有 {} 次变更正在发送", s.waiting),
            format!("{} changes for subscription {id} are on their way", s.waiting),
        ),
    }
}

fn all_well(standings: &[Standing]) -> Message {
    let delivered: usize = standings.iter().map(|s| s.delivered).sum();
    let last = standings.iter().map(|s| s.last_delivered.as_str()).max().unwrap_or_default();
    if delivered == 0 {
        return Message::new(
            "该订单的变更早于订阅，没有发送回调",
            "the order's changes are older than the subscriptions, so no callback was made",
        );
    }
    Message::new(
        format!("全部 {delivered} 次回调均已被接收方确认，最后一次在 {last}"),
        format!("all {delivered} callbacks were acknowledged by the receiver, the last one at {last}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn standing() -> Standing {
        Standing {
            subscription_id: 7,
            status: "active".into(),
            status_reason: String::new(),
            delivered: 2,
            parked: 0,
            waiting: 0,
            front: None,
            last_delivered: "11-21 10:00:00".into(),
        }
    }

    fn front(tries: i32) -> Option<Front> {
        Some(Front {
            order_seq: 3,
            tries,
            last_error: "HTTP 500".into(),
            next_attempt: "11-21 10:05:00".into(),
        })
    }

    #[test]
    fn each_case_has_its_sentence() {
        let say = |standings: &[Standing]| sentence(4, standings).en.into_owned();
        assert!(say(&[]).contains("no subscription wants them"));
        assert_eq!(
            say(&[standing()]),
            "all 2 callbacks were acknowledged by the receiver, the last one at 11-21 10:00:00"
        );
        assert!(say(&[Standing { delivered: 0, ..standing() }]).contains("older than the subscriptions"));
        let failing = Standing { waiting: 3, front: front(2), ..standing() };
        assert_eq!(
            say(&[standing(), failing.clone()]),
            "the receiver of subscription 7 has not acknowledged change 3: 2 tries (HTTP 500), the next try is at 11-21 10:05:00; 2 later changes wait their turn"
        );
        assert!(say(&[Standing { front: front(0), ..failing.clone() }]).contains("on their way"));
        let paused = Standing { status: "paused".into(), status_reason: "x".into(), ..failing.clone() };
        assert!(say(&[paused]).contains("is paused (x); 3 changes are collected"));
        let parked = Standing { parked: 1, ..standing() };
        assert!(say(std::slice::from_ref(&parked)).contains("parked until somebody resends"));
        assert!(say(&[parked, failing]).contains("has not acknowledged"), "what still moves is told first");
    }
}
