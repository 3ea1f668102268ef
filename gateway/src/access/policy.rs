//! Who may do what, as auth-service last told it: a snapshot compiled for lookups, renewed every second and at
//! every event that says it changed. A gateway without one, or with one it could not renew for too long, opens
//! nothing that needs a token.

use std::{
    collections::{HashMap, HashSet},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicBool, AtomicI64, Ordering},
    },
    time::Duration,
};

use contracts::{
    identity::CallerKind,
    policy::{PolicySnapshot, PolicySource, PolicyUnavailable},
    routes::Route,
};
use platform::clock::Clock;

/// Longest wait for an answer of auth-service. Together with the poll below a revoked token is dead at every
/// gateway within 2 s.
const FETCH_TIMEOUT: Duration = Duration::from_millis(900);
/// The same once it was late: a slow answer is worth more than none.
const PATIENT_FETCH_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the policy is asked for when no event wakes the gateway.
pub(crate) const POLL_EVERY: Duration = Duration::from_secs(1);

/// A snapshot, compiled: every question is one lookup.
pub(crate) struct Policy {
    pub version: i64,
    routes: Vec<RouteFacts>,
    accounts: HashMap<i64, Account>,
    revoked: HashSet<String>,
}

/// What the registry knows about a route's permission.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RouteFacts {
    pub registered: bool,
    pub in_a_role: bool,
}

/// A live account.
pub(crate) struct Account {
    pub kind: CallerKind,
    pub nickname: String,
    pub partner_id: i64,
    /// Tokens issued before this are dead, unix seconds.
    pub tokens_valid_from: i64,
    routes: RouteSet,
}

impl Account {
    /// Does one of the account's roles hold the permission of the route at `index`?
    pub fn may(&self, index: usize) -> bool {
        self.routes.has(index)
    }
}

/// One bit for each route of the table.
#[derive(Debug, Clone)]
struct RouteSet(Vec<u64>);

impl RouteSet {
    fn empty(routes: usize) -> Self {
        Self(vec![0; routes.div_ceil(64)])
    }

    fn add(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }

    fn add_all(&mut self, other: &Self) {
        self.0.iter_mut().zip(&other.0).for_each(|(mine, theirs)| *mine |= theirs);
    }

    fn has(&self, index: usize) -> bool {
        self.0.get(index / 64).is_some_and(|word| word & (1 << (index % 64)) != 0)
    }
}

impl Policy {
    fn compile(snapshot: PolicySnapshot, routes: &[&'static Route]) -> Self {
        let mut by_name: HashMap<&str, Vec<usize>> = HashMap::new();
        for (index, route) in routes.iter().enumerate() {
            by_name.entry(route.name).or_default().push(index);
        }
        let indices = |names: &[String]| {
            let mut set = RouteSet::empty(routes.len());
            names.iter().filter_map(|n| by_name.get(n.as_str())).flatten().for_each(|&index| set.add(index));
            set
        };
        let registered = indices(&snapshot.registered);
        let roles: HashMap<i64, RouteSet> =
            snapshot.roles.iter().map(|(id, names)| (*id, indices(names))).collect();
        let mut in_a_role = RouteSet::empty(routes.len());
        roles.values().for_each(|role| in_a_role.add_all(role));
        let accounts = snapshot.accounts.into_iter().filter(|a| a.enabled).map(|account| {
            let mut held = RouteSet::empty(routes.len());
            account.role_ids.iter().filter_map(|id| roles.get(id)).for_each(|role| held.add_all(role));
            let entry = Account {
                kind: account.kind,
                nickname: account.nickname,
                partner_id: account.partner_id,
                tokens_valid_from: account.tokens_valid_from,
                routes: held,
            };
            (account.id, entry)
        });
        Self {
            version: snapshot.version,
            accounts: accounts.collect(),
            revoked: snapshot.revoked.into_iter().map(|r| r.jti).collect(),
            routes: (0..routes.len())
                .map(|i| RouteFacts { registered: registered.has(i), in_a_role: in_a_role.has(i) })
                .collect(),
        }
    }

    pub fn account(&self, id: i64) -> Option<&Account> {
        self.accounts.get(&id)
    }

    pub fn is_revoked(&self, jti: &str) -> bool {
        !jti.is_empty() && self.revoked.contains(jti)
    }

    pub fn route(&self, index: usize) -> RouteFacts {
        self.routes[index]
    }
}

/// Why a policy cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPolicy {
    #[error("auth-service has not told the access policy yet")]
    Missing,
    #[error("the access policy could not be renewed for too long")]
    TooOld,
}

/// The policy in force, shared by all workers.
pub(crate) struct PolicyStore {
    source: Arc<dyn PolicySource>,
    clock: Clock,
    routes: Vec<&'static Route>,
    max_age_ms: i64,
    current: RwLock<Option<Arc<Policy>>>,
    /// Unix ms of the last answer of the source.
    renewed_at: AtomicI64,
    failing: AtomicBool,
    /// One fetch at a time: an older answer must not replace a newer one.
    fetching: tokio::sync::Mutex<()>,
}

impl PolicyStore {
    pub fn new(
        source: Arc<dyn PolicySource>,
        clock: Clock,
        routes: &[&'static Route],
        max_age_ms: i64,
    ) -> Self {
        metrics::counter!("gateway_policy_failures_total").absolute(0);
        Self {
            source,
            clock,
            routes: routes.to_vec(),
            max_age_ms,
            current: RwLock::new(None),
            renewed_at: AtomicI64::new(0),
            failing: AtomicBool::new(false),
            fetching: tokio::sync::Mutex::new(()),
        }
    }

    /// Asks the source once; `false` when it did not answer.
    pub async fn refresh(&self) -> bool {
        let _one = self.fetching.lock().await;
        let known = self.peek().map_or(-1, |policy| policy.version);
        let asked_at = self.clock.now_ms();
        let late = self.failing.load(Ordering::Relaxed);
        let patience = if late { PATIENT_FETCH_TIMEOUT } else { FETCH_TIMEOUT };
        let answer = tokio::time::timeout(patience, self.source.fetch(known)).await;
        let answer = answer.unwrap_or_else(|_| {
            Err(PolicyUnavailable(format!("no answer within {} ms", patience.as_millis())))
        });
        match answer {
            Ok(news) => {
                if let Some(snapshot) = news {
                    let policy = Arc::new(Policy::compile(snapshot, &self.routes));
                    tracing::debug!(version = policy.version, "access policy renewed");
                    *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(policy);
                }
                // Before the first snapshot "unchanged" is no answer one could serve on.
                if self.peek().is_some() {
                    self.renewed_at.store(asked_at, Ordering::Release);
                }
                if self.failing.swap(false, Ordering::Relaxed) {
                    tracing::info!("auth-service tells the access policy again");
                }
                true
            }
            Err(e) => {
                metrics::counter!("gateway_policy_failures_total").increment(1);
                if !self.failing.swap(true, Ordering::Relaxed) {
                    let until_then = if known < 0 {
                        "nothing that needs a token is open"
                    } else {
                        "the last one is used for a while"
                    };
                    tracing::warn!(error = %e, "the access policy cannot be had; {until_then}");
                }
                false
            }
        }
    }

    /// The policy in force.
    ///
    /// # Errors
    /// There is none yet, or it is older than allowed.
    pub fn current(&self) -> Result<Arc<Policy>, NoPolicy> {
        let policy = self.peek().ok_or(NoPolicy::Missing)?;
        let age_ms = self.clock.now_ms().saturating_sub(self.renewed_at.load(Ordering::Acquire));
        if age_ms > self.max_age_ms { Err(NoPolicy::TooOld) } else { Ok(policy) }
    }

    fn peek(&self) -> Option<Arc<Policy>> {
        self.current.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use contracts::{
        policy::PolicyAccount,
        routes::{Access, Dialect, Method, ServiceName},
    };

    use super::*;

    const fn route(name: &'static str) -> Route {
        Route {
            name,
            method: Method::Get,
            path: "/x",
            service: ServiceName::Report,
            access: Access::Account,
            dialect: Dialect::Admin,
            body_limit_bytes: 1,
            timeout_seconds: 1,
            idempotent: true,
        }
    }

    #[test]
    fn roles_become_sets_of_routes() {
        let routes: Vec<&'static Route> = (0..100)
            .map(|i| &*Box::leak(Box::new(route(Box::leak(format!("P{}", i / 2).into_boxed_str())))))
            .collect();
        let account = |id, role_ids: &[i64], enabled| PolicyAccount {
            id,
            kind: CallerKind::Account,
            nickname: "n".into(),
            partner_id: 0,
            role_ids: role_ids.to_vec(),
            enabled,
            tokens_valid_from: 0,
        };
        let names = |list: &[&str]| list.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let snapshot = PolicySnapshot {
            version: 3,
            registered: names(&["P0", "P40", "P41", "unknown"]),
            roles: [(1, names(&["P0", "P45"])), (2, names(&["P40", "unknown"]))].into(),
            accounts: vec![account(1, &[1, 2, 9], true), account(2, &[2], true), account(3, &[1], false)],
            revoked: Vec::new(),
        };
        let policy = Policy::compile(snapshot, &routes);
        let both = policy.account(1).expect("an account");
        // Two routes share each name, as GET and POST of one permission do.
        assert!(both.may(0) && both.may(1) && both.may(80) && both.may(81) && !both.may(2) && !both.may(82));
        let one = policy.account(2).expect("an account");
        assert!(!one.may(0) && one.may(80) && !one.may(1000));
        assert!(policy.account(3).is_none(), "a disabled account is no account");
        let facts = |i| (policy.route(i).registered, policy.route(i).in_a_role);
        assert_eq!(
            [facts(0), facts(80), facts(82), facts(90), facts(4)],
            [(true, true), (true, true), (true, false), (false, true), (false, false)]
        );
    }
}
