use std::collections::HashSet;

use super::*;

/// `spec/supplier-api.md`, "Fulfilment states", the column "from", plus jxz → wks by edit.
const SPEC: &[(&str, &[&str])] = &[
    ("dlz", &["new"]),
    ("wks", &["new", "dlz", "jxz"]),
    ("jxz", &["dlz", "wks", "bdz", "gmz", "xfz", "dlsb"]),
    ("ywc", &["jxz", "bdz", "xfz"]),
    ("ytd", &["dlz", "wks", "jxz", "tdz", "dlsb"]),
    ("tdz", &["dlz", "wks", "jxz"]),
    ("xfz", &["jxz", "ywc"]),
    ("bdz", &["ywc"]),
    ("gmz", &["jxz", "dlsb"]),
    ("dlsb", &["jxz", "gmz"]),
];

fn all_from() -> Vec<Option<FulfilState>> {
    std::iter::once(None).chain(FulfilState::ALL.into_iter().map(Some)).collect()
}

fn in_spec(from: Option<FulfilState>, to: FulfilState) -> bool {
    let from = from.map_or("new", FulfilState::code);
    SPEC.iter().any(|(code, froms)| *code == to.code() && froms.contains(&from))
}

/// What each event may do, written down a second time.
fn expected(from: Option<FulfilState>, event: FulfilEvent, to: FulfilState) -> bool {
    match event {
        Enter => from.is_none() && in_spec(from, to),
        Start => (from, to) == (Some(Queued), NotStarted),
        Claim => to == InProgress && matches!(from, Some(Queued | NotStarted)),
        Edit => from.is_some() && to != Refunded && in_spec(from, to),
        Refund => to == Refunded && in_spec(from, to),
        AskRefund => to == RefundAsked && in_spec(from, to),
        AskRefill => (from, to) == (Some(Done), RefillAsked),
        AskRenewal => to == RenewalAsked && in_spec(from, to),
        AskPassword => to == PasswordChangeAsked && in_spec(from, to),
        Release => from == Some(InProgress) && matches!(to, Queued | NotStarted),
    }
}

#[test]
fn every_state_event_and_target_is_decided_as_the_contract_says() {
    let mut allowed = 0;
    for from in all_from() {
        for event in FulfilEvent::ALL {
            for to in FulfilState::ALL {
                let result = next_fulfil(from, event, Some(to));
                assert_eq!(result.is_ok(), expected(from, event, to), "{from:?} {event:?} {to:?}");
                match result {
                    Ok(state) => {
                        assert_eq!(state, to);
                        allowed += 1;
                    }
                    Err(refusal) => {
                        assert_eq!(refusal.state(), from.map_or("", FulfilState::code));
                        assert_eq!(refusal.wanted, Some(to));
                    }
                }
            }
        }
    }
    assert_eq!(allowed, FULFILMENT.iter().map(|m| m.by.len()).sum::<usize>());
}

#[test]
fn the_table_has_every_move_of_the_contract_and_no_other_but_the_release() {
    for from in all_from() {
        for to in FulfilState::ALL {
            let stands = FULFILMENT.iter().any(|m| m.from == from && m.to == to);
            let release = (from, to) == (Some(InProgress), Queued);
            assert_eq!(stands, in_spec(from, to) || release, "{from:?} {to:?}");
        }
    }
    let pairs: HashSet<_> = FULFILMENT.iter().map(|m| (m.from, m.to)).collect();
    assert_eq!(pairs.len(), FULFILMENT.len(), "a pair stands twice");
}

#[test]
fn an_event_without_a_choice_has_one_target() {
    for from in all_from() {
        for event in [Start, Claim, Refund, AskRefund, AskRefill, AskRenewal, AskPassword] {
            let targets = FULFILMENT.iter().filter(|m| m.from == from && m.by.contains(&event)).count();
            assert!(targets <= 1, "{from:?} {event:?}");
        }
    }
}

#[test]
fn refunded_is_final_and_says_so() {
    for event in FulfilEvent::ALL {
        for to in FulfilState::ALL {
            assert!(next_fulfil(Some(Refunded), event, Some(to)).is_err());
        }
    }
    let refusal = next_fulfil(Some(Refunded), Edit, Some(InProgress)).expect_err("final");
    assert!(refusal.allowed().is_empty());
    let (zh, en) = refusal.sentences();
    assert!(zh.contains("ytd") && zh.contains("无") && en.contains("allowed next: none"), "{zh} {en}");
}

#[test]
fn a_refusal_names_the_present_state_and_the_allowed_next_ones() {
    let refusal = next_fulfil(Some(Done), Edit, Some(Queued)).expect_err("no such move");
    assert_eq!(
        (refusal.state().as_str(), refusal.allowed()),
        ("ywc", vec!["xfz".to_owned(), "bdz".to_owned()])
    );
    let facts = Facts { total_fen: 1, expire_at: 0, now: 5 };
    let refusal = next_payment(Some(Completed), PaymentEvent::Cancel, &facts).expect_err("paid");
    assert_eq!((refusal.state().as_str(), refusal.allowed()), ("3", vec![]));
    let refusal = next_payment(Some(Unpaid), PaymentEvent::LatePay, &facts).expect_err("not cancelled");
    assert_eq!(refusal.allowed(), ["3", "2"]);
}

#[test]
fn every_payment_state_and_event_is_decided_as_the_contract_says() {
    let priced = Facts { total_fen: 100, expire_at: 1000, now: 999 };
    let due = Facts { now: 1000, ..priced };
    let free = Facts { total_fen: 0, expire_at: 0, now: 5 };
    let states = [None, Some(Unpaid), Some(Cancelled), Some(Completed)];
    for from in states {
        for event in PaymentEvent::ALL {
            for (facts, is_due, is_free) in [(priced, false, false), (due, true, false), (free, false, true)]
            {
                let wanted = match (from, event) {
                    (None, PaymentEvent::Place) => Some(if is_free { Completed } else { Unpaid }),
                    (Some(Unpaid), PaymentEvent::Pay) if !is_due => Some(Completed),
                    (Some(Unpaid), PaymentEvent::Cancel) => Some(Cancelled),
                    (Some(Unpaid), PaymentEvent::Expire) if is_due => Some(Cancelled),
                    (Some(Cancelled), PaymentEvent::LatePay) => Some(Cancelled),
                    _ => None,
                };
                assert_eq!(next_payment(from, event, &facts).ok(), wanted, "{from:?} {event:?} {facts:?}");
            }
        }
    }
}

#[test]
fn an_order_without_an_end_never_expires() {
    let facts = Facts { total_fen: 100, expire_at: 0, now: i64::MAX };
    assert!(next_payment(Some(Unpaid), PaymentEvent::Expire, &facts).is_err());
    assert_eq!(next_payment(Some(Unpaid), PaymentEvent::Pay, &facts), Ok(Completed));
}

#[test]
fn a_refund_is_the_undelivered_share_and_never_more_than_was_paid() {
    for (paid, need, start, now, refund) in [
        (1000, 100, 500, Some(500), 1000),
        (1000, 100, 500, Some(550), 500),
        (1000, 100, 500, Some(600), 0),
        (1000, 100, 500, Some(9000), 0),
        (1000, 100, 500, Some(100), 1000),
        (1000, 3, 0, Some(1), 666),
        (1, 3, 0, Some(1), 0),
        (1000, 0, 0, Some(50), 1000),
        (1000, 100, 500, None, 1000),
        (i64::MAX, i64::MAX, i64::MAX, Some(0), i64::MAX),
        (i64::MAX, i64::MAX, 0, Some(i64::MAX), 0),
    ] {
        assert_eq!(refund_fen(paid, need, start, now), refund, "{paid} {need} {start} {now:?}");
    }
}
