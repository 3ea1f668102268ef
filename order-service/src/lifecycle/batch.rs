//! Many orders at once: hand-outs and time-outs. One `UPDATE … RETURNING` takes the rows (nobody waits
//! for rows another holds, nobody gets them twice), then one statement for the history, one for the outbox.

use std::collections::BTreeMap;

use contracts::{
    events::{OrderStateChanged, PreviousStates},
    identity::Actor,
    order_state::{FulfilState, PaymentState},
};
use platform::db::WriteTx;
use sea_orm::{ConnectionTrait, DbBackend, DbErr, Statement, Value};

use super::{
    rules::{self, FulfilEvent, PaymentEvent},
    service::{By, Lifecycle, LifecycleError},
    store,
};
use crate::{entities::orders, numbers};

/// A stretch of order ids, both ends excluded, and from which end it is taken.
#[derive(Debug, Clone, Copy)]
pub struct Span {
    pub above: i64,
    pub below: i64,
    pub newest_first: bool,
}

/// What to hand out, and to whom.
#[derive(Debug, Clone, Copy)]
pub struct Claim {
    pub goods_id: i64,
    pub from: FulfilState,
    pub span: Span,
    pub limit: u64,
    pub supplier_id: i64,
    /// 0 = no batch.
    pub batch_id: i64,
    /// Unix milliseconds, 0 = no lease.
    pub lease_until: i64,
}

/// Which hand-outs go back to where they were taken from.
#[derive(Debug, Clone, Copy)]
pub enum Release<'a> {
    /// Those of this batch; `only` is a JSON list of service numbers, `None` = all of them.
    Batch { id: i64, only: Option<&'a str> },
    /// Up to `limit` whose lease ran out.
    Expired { limit: u64 },
}

impl Claim {
    /// The statement of [`Lifecycle::claim`]: the orders go `to` this state `now` (unix milliseconds). Shown for the
    /// test of its plan.
    pub fn statement(&self, backend: DbBackend, to: FulfilState, now: i64) -> Statement {
        let set = "fulfil_state = $1, version = o.version + 1, updated_at = $2,
            start_time = CASE WHEN o.start_time = 0 THEN $2 ELSE o.start_time END,
            supplier_id = $3, batch_id = $4, lease_until = $5, claimed_from = $6";
        let direction = if self.span.newest_first { "DESC" } else { "ASC" };
        // PostgreSQL would walk a month by its primary key to have it in order, and read it to its end where what waits
        // is few or young; `ANY` of one hides that the goods are one, so that `orders_work` alone has that order.
        let (goods, order) = match backend {
            DbBackend::Postgres => {
                ("goods_id = ANY(ARRAY[$7::bigint])", format!("goods_id {direction}, id {direction}"))
            }
            _ => ("goods_id = $7", format!("id {direction}")),
        };
        let pick =
            format!("{goods} AND fulfil_state = $6 AND id > $8 AND id < $9 ORDER BY {order} LIMIT $10");
        let values: Vec<Value> = vec![
            i16::from(to).into(),
            now.into(),
            self.supplier_id.into(),
            self.batch_id.into(),
            self.lease_until.into(),
            i16::from(self.from).into(),
            self.goods_id.into(),
            self.span.above.into(),
            self.span.below.into(),
            i64::try_from(self.limit).unwrap_or(i64::MAX).into(),
        ];
        store::pick_and_set(backend, set, &pick, values)
    }
}

impl Lifecycle {
    /// Hands out up to `claim.limit` orders: all of them are the caller's alone, in progress, in the asked order.
    ///
    /// # Errors
    /// A state that is not handed out; the database.
    pub async fn claim(
        &self,
        tx: &WriteTx,
        claim: &Claim,
        actor: &Actor,
    ) -> Result<Vec<orders::Model>, LifecycleError> {
        let to = rules::next_fulfil(Some(claim.from), FulfilEvent::Claim, None)?;
        let now = self.clock.now_ms();
        let statement = claim.statement(tx.get_database_backend(), to, now);
        let mut rows = store::update_returning(tx, statement).await?;
        rows.sort_unstable_by_key(|o| if claim.span.newest_first { -o.id } else { o.id });
        let moved = Moved {
            event: FulfilEvent::Claim.name(),
            from: (PaymentState::Completed, Some(claim.from)),
            to: (PaymentState::Completed, Some(to)),
            at: now,
        };
        self.record_all(tx, &rows, moved, By { actor, reason: "" }).await?;
        Ok(rows)
    }

    /// Ends up to `limit` unpaid orders whose time is over; answers how many.
    ///
    /// # Errors
    /// The database.
    pub async fn expire_due(&self, tx: &WriteTx, limit: u64) -> Result<usize, LifecycleError> {
        let now = self.clock.now_ms();
        let set = "state = $1, version = o.version + 1, updated_at = $2";
        // `state = 1` stands as a literal, so that the partial index is used whatever plan is cached.
        let pick = "state = 1 AND expire_at > 0 AND expire_at <= $2 ORDER BY expire_at LIMIT $3";
        let to = PaymentState::Cancelled;
        let limit = i64::try_from(limit).unwrap_or(i64::MAX);
        let values = vec![i16::from(to).into(), now.into(), limit.into()];
        let statement = store::pick_and_set(tx.get_database_backend(), set, pick, values);
        let rows = store::update_returning(tx, statement).await?;
        let moved = Moved {
            event: PaymentEvent::Expire.name(),
            from: (PaymentState::Unpaid, None),
            to: (to, None),
            at: now,
        };
        self.record_all(tx, &rows, moved, By { actor: &Actor::system("timeout"), reason: "" }).await?;
        Ok(rows.len())
    }

    /// Puts orders that are still in progress back to `from`, the state they were taken from; answers how many.
    ///
    /// # Errors
    /// The database.
    pub async fn release(
        &self,
        tx: &WriteTx,
        which: Release<'_>,
        from: FulfilState,
        by: By<'_>,
    ) -> Result<usize, LifecycleError> {
        let (now, busy) = (self.clock.now_ms(), FulfilState::InProgress);
        let to = rules::next_fulfil(Some(busy), FulfilEvent::Release, Some(from))?;
        let set = "fulfil_state = $1, version = o.version + 1, updated_at = $2,
            start_time = 0, supplier_id = 0, batch_id = 0, lease_until = 0";
        let mut values: Vec<Value> = vec![i16::from(to).into(), now.into(), i16::from(busy).into()];
        let mut pick = "fulfil_state = $3 AND claimed_from = $1".to_owned();
        match which {
            Release::Batch { id, only } => {
                pick.push_str(" AND batch_id = $4 AND batch_id > 0");
                values.push(id.into());
                if let Some(only) = only {
                    pick.push_str(match tx.get_database_backend() {
                        DbBackend::Postgres => {
                            " AND service_no IN (SELECT n::bigint FROM json_array_elements_text($5::json) AS n)"
                        }
                        _ => " AND service_no IN (SELECT value FROM json_each($5))",
                    });
                    values.push(only.into());
                }
            }
            Release::Expired { limit } => {
                pick.push_str(" AND lease_until > 0 AND lease_until <= $2 ORDER BY lease_until LIMIT $4");
                values.push(i64::try_from(limit).unwrap_or(i64::MAX).into());
            }
        }
        let statement = store::pick_and_set(tx.get_database_backend(), set, &pick, values);
        let rows = store::update_returning(tx, statement).await?;
        let moved = Moved {
            event: FulfilEvent::Release.name(),
            from: (PaymentState::Completed, Some(busy)),
            to: (PaymentState::Completed, Some(to)),
            at: now,
        };
        self.record_all(tx, &rows, moved, by).await?;
        Ok(rows.len())
    }

    /// Lets a confirmed batch keep its orders; answers how many still had a lease. No change of state.
    ///
    /// # Errors
    /// The database.
    pub async fn end_lease(&self, tx: &WriteTx, batch_id: i64) -> Result<u64, DbErr> {
        store::end_lease(tx, batch_id).await
    }

    /// Follows the readings that orders paid for: what is left, by order number. A figure that is higher than what
    /// is known changes nothing, and so does a number that is none. No change of state.
    ///
    /// # Errors
    /// The database.
    pub async fn readings_left(&self, tx: &WriteTx, left: &BTreeMap<String, i64>) -> Result<(), DbErr> {
        let row = |(number, left): (&String, &i64)| {
            numbers::window(number).map(|(first, behind)| (number.clone(), *left, first, behind))
        };
        let rows: Vec<(String, i64, i64, i64)> = left.iter().filter_map(row).collect();
        let rows = serde_json::to_string(&rows).map_err(|e| DbErr::Custom(e.to_string()))?;
        store::set_left(tx, &rows).await
    }

    async fn record_all(
        &self,
        tx: &WriteTx,
        rows: &[orders::Model],
        moved: Moved,
        by: By<'_>,
    ) -> Result<(), DbErr> {
        if rows.is_empty() {
            return Ok(());
        }
        let number = |s: Option<FulfilState>| s.map(i16::from);
        let common = store::HistoryOf {
            at: moved.at,
            event: moved.event,
            actor: by.actor,
            from_state: Some(moved.from.0.into()),
            to_state: moved.to.0.into(),
            from_fulfil: number(moved.from.1),
            to_fulfil: number(moved.to.1),
            reason: by.reason,
        };
        let history: Vec<(i64, i64, &str)> = rows.iter().map(|o| (o.id, o.version, "{}")).collect();
        store::history(tx, &common, &history).await?;
        let payloads: Vec<OrderStateChanged> = rows
            .iter()
            .map(|order| OrderStateChanged {
                order: order.public(),
                previous: PreviousStates { state: Some(moved.from.0), fulfil_state: moved.from.1 },
                event: moved.event.into(),
                order_seq: order.version,
                actor: by.actor.clone(),
                reason: by.reason.into(),
            })
            .collect();
        let items: Vec<(String, &OrderStateChanged)> =
            payloads.iter().map(|p| (p.order.number.clone(), p)).collect();
        self.outbox.append_many(tx, &items).await?;
        Ok(())
    }
}

/// What happened to every row of a batch.
#[derive(Debug, Clone, Copy)]
struct Moved {
    event: &'static str,
    from: (PaymentState, Option<FulfilState>),
    to: (PaymentState, Option<FulfilState>),
    at: i64,
}
