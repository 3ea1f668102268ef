//! Who is calling, as the gateway found out and the services trust it.

use serde::{Deserialize, Serialize};

/// Header that carries the gateway's signed internal token to a service.
pub const INTERNAL_TOKEN_HEADER: &str = "x-baodan-internal";
/// Header of the request id, made by the gateway, echoed to the caller, logged everywhere.
pub const REQUEST_ID_HEADER: &str = "x-request-id";

/// What kind of credential opened the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CallerKind {
    /// No token: a public route, or one whose own key the service checks (supplier and partner entries).
    Anonymous,
    /// An operator's account.
    Account,
    /// A partner's login.
    Partner,
}

/// The identity behind a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Caller {
    pub kind: CallerKind,
    /// 0 for anonymous.
    pub account_id: i64,
    /// Shown as the author of changes.
    pub nickname: String,
    /// The partner whose own data this caller may see; 0 for operators.
    pub partner_id: i64,
    /// Id of the access token in use, "" for anonymous.
    pub jti: String,
}

impl Caller {
    pub fn anonymous() -> Self {
        Self {
            kind: CallerKind::Anonymous,
            account_id: 0,
            nickname: String::new(),
            partner_id: 0,
            jti: String::new(),
        }
    }
}

/// Claims of the internal token: one request, one method, one path, a few seconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct InternalClaims {
    #[serde(flatten)]
    pub caller: Caller,
    /// HTTP method in upper case.
    pub method: String,
    /// Path without the query, as forwarded.
    pub path: String,
    /// Request id.
    pub rid: String,
    /// Client address as the gateway saw it.
    pub ip: String,
    /// Unix seconds.
    pub exp: i64,
}

/// Who made a change, in histories and events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Actor {
    pub kind: ActorKind,
    pub id: i64,
    #[serde(default)]
    pub name: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ActorKind {
    Account,
    Supplier,
    Partner,
    Customer,
    System,
}

impl ActorKind {
    /// The word stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Account => "account",
            Self::Supplier => "supplier",
            Self::Partner => "partner",
            Self::Customer => "customer",
            Self::System => "system",
        }
    }
}

impl Actor {
    pub fn system(name: &str) -> Self {
        Self { kind: ActorKind::System, id: 0, name: name.into() }
    }
}

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        let kind = match caller.kind {
            CallerKind::Partner => ActorKind::Partner,
            CallerKind::Account | CallerKind::Anonymous => ActorKind::Account,
        };
        Self { kind, id: caller.account_id, name: caller.nickname.clone() }
    }
}
