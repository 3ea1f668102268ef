//! The numbers and codes of an order's two states as they stand on every wire. The tables of allowed
//! moves belong to order-service (`lifecycle/rules.rs`).

use serde::{Deserialize, Serialize};

/// Payment state (`spec/orders.md`): a refund keeps 3 and is told by the fulfilment state and the amount.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "i16", try_from = "i16")]
pub enum PaymentState {
    Unpaid = 1,
    Cancelled = 2,
    Completed = 3,
}

/// Fulfilment state of a service order (`spec/supplier-api.md`, "Fulfilment states").
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(into = "i16", try_from = "i16")]
pub enum FulfilState {
    /// `dlz`: queued, start value unknown.
    Queued = 0,
    /// `wks`: not started.
    NotStarted = 1,
    /// `jxz`
    InProgress = 2,
    /// `ywc`
    Done = 3,
    /// `ytd`, final.
    Refunded = 4,
    /// `tdz`: refund asked by the buyer.
    RefundAsked = 5,
    /// `xfz`
    RenewalAsked = 6,
    /// `bdz`
    RefillAsked = 7,
    /// `gmz`
    PasswordChangeAsked = 8,
    /// `dlsb`
    LoginFailed = 9,
}

/// A number that is no state.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{0} is no {1}")]
pub struct UnknownState(pub i16, pub &'static str);

impl PaymentState {
    pub const ALL: [Self; 3] = [Self::Unpaid, Self::Cancelled, Self::Completed];

    /// What people call it, Chinese and English.
    pub fn title(self) -> (&'static str, &'static str) {
        match self {
            Self::Unpaid => ("待付款", "unpaid"),
            Self::Cancelled => ("已取消", "cancelled"),
            Self::Completed => ("已完成", "completed"),
        }
    }
}

impl FulfilState {
    pub const ALL: [Self; 10] = [
        Self::Queued,
        Self::NotStarted,
        Self::InProgress,
        Self::Done,
        Self::Refunded,
        Self::RefundAsked,
        Self::RenewalAsked,
        Self::RefillAsked,
        Self::PasswordChangeAsked,
        Self::LoginFailed,
    ];

    /// The supplier API's code.
    pub fn code(self) -> &'static str {
        ["dlz", "wks", "jxz", "ywc", "ytd", "tdz", "xfz", "bdz", "gmz", "dlsb"][self as usize]
    }

    /// What people call it, Chinese and English.
    pub fn title(self) -> (&'static str, &'static str) {
        match self {
            Self::Queued => ("队列中", "queued"),
            Self::NotStarted => ("未开始", "not started"),
            Self::InProgress => ("进行中", "in progress"),
            Self::Done => ("已完成", "done"),
            Self::Refunded => ("已退单", "refunded"),
            Self::RefundAsked => ("退单中", "refund asked"),
            Self::RenewalAsked => ("续费中", "renewal asked"),
            Self::RefillAsked => ("补单中", "refill asked"),
            Self::PasswordChangeAsked => ("改密中", "password change asked"),
            Self::LoginFailed => ("登录失败", "login failed"),
        }
    }

    /// Reads a code in any case.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|s| s.code().eq_ignore_ascii_case(code))
    }
}

impl From<PaymentState> for i16 {
    fn from(s: PaymentState) -> Self {
        s as i16
    }
}

impl TryFrom<i16> for PaymentState {
    type Error = UnknownState;
    fn try_from(n: i16) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|s| *s as i16 == n).ok_or(UnknownState(n, "payment state"))
    }
}

impl From<FulfilState> for i16 {
    fn from(s: FulfilState) -> Self {
        s as i16
    }
}

impl TryFrom<i16> for FulfilState {
    type Error = UnknownState;
    fn try_from(n: i16) -> Result<Self, UnknownState> {
        Self::ALL.into_iter().find(|s| *s as i16 == n).ok_or(UnknownState(n, "fulfilment state"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_numbers_agree_with_the_supplier_api() {
        for (n, code) in
            ["dlz", "wks", "jxz", "ywc", "ytd", "tdz", "xfz", "bdz", "gmz", "dlsb"].iter().enumerate()
        {
            let state = FulfilState::try_from(n as i16).expect("a state for every number");
            assert_eq!(state.code(), *code);
            assert_eq!(FulfilState::from_code(&code.to_uppercase()), Some(state));
        }
        assert_eq!(FulfilState::try_from(10), Err(UnknownState(10, "fulfilment state")));
    }
}
