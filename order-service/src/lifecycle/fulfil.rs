//! The work on single service orders: progress, refunds, buyers' wishes.

use contracts::order_state::FulfilState;
use platform::db::WriteTx;

use super::{
    rules::{self, FulfilEvent},
    service::{By, Edit, Edited, Lifecycle, LifecycleError},
    store,
};
use crate::entities::orders;

impl Lifecycle {
    /// Applies a supplier's edit to an order that [`Self::lock`] answered. `dlz` with a start value becomes `wks`.
    ///
    /// # Errors
    /// A move that is not in the table; counters of an order in a final state. Refunds go by their own way.
    pub async fn edit(
        &self,
        tx: &WriteTx,
        before: orders::Model,
        edit: Edit,
        by: By<'_>,
    ) -> Result<Edited, LifecycleError> {
        let from = before.fulfilment();
        let mut after = before.clone();
        after.start_num = edit.start_num.unwrap_or(before.start_num);
        after.now_num = edit.now_num.unwrap_or(before.now_num);
        after.end_num = edit.end_num.unwrap_or(before.end_num);
        after.login_state = edit.login_state.unwrap_or(before.login_state);
        let started = from == Some(FulfilState::Queued) && edit.start_num.is_some_and(|n| n > 0);
        let event = match edit.state {
            Some(to) if Some(to) != from => Some((FulfilEvent::Edit, to)),
            None if started => Some((FulfilEvent::Start, FulfilState::NotStarted)),
            Some(FulfilState::Queued) if started => Some((FulfilEvent::Start, FulfilState::NotStarted)),
            _ => None,
        };
        if let Some((event, to)) = event {
            let to = rules::next_fulfil(from, event, Some(to))?;
            arrive(&mut after, to, self.clock.now_ms());
            self.save(tx, before, after, event.name(), by).await?;
            return Ok(Edited::Moved);
        }
        if after == before {
            return Ok(Edited::Same);
        }
        if rules::fulfil_next(from).is_empty() {
            return Err(rules::Refusal {
                wish: "edit",
                wanted: None,
                present: rules::Present::Fulfilment(from),
            }
            .into());
        }
        after.lease_until = 0;
        after.updated_at = self.clock.now_ms();
        if store::replace(tx, &before, &after).await? {
            Ok(Edited::Counted)
        } else {
            Err(LifecycleError::LostRace)
        }
    }

    /// Refunds an order that [`Self::lock`] answered: the undelivered share of what was paid. Once is once.
    ///
    /// # Errors
    /// A state that cannot be refunded.
    pub async fn refund(
        &self,
        tx: &WriteTx,
        before: orders::Model,
        now_num: Option<i64>,
        by: By<'_>,
    ) -> Result<Edited, LifecycleError> {
        let from = before.fulfilment();
        if from == Some(FulfilState::Refunded) {
            return Ok(Edited::Same);
        }
        let mut after = before.clone();
        let to = rules::next_fulfil(from, FulfilEvent::Refund, None)?;
        after.now_num = now_num.unwrap_or(before.now_num);
        after.refund_fen = rules::refund_fen(before.total_fen, before.need_num_0, before.start_num, now_num);
        arrive(&mut after, to, self.clock.now_ms());
        self.save(tx, before, after, FulfilEvent::Refund.name(), by).await?;
        Ok(Edited::Moved)
    }

    /// Notes a buyer's wish for a service order; inputs that come with it (a new password) replace the old.
    ///
    /// # Errors
    /// Not found, or a state in which the wish makes no sense.
    pub async fn ask(
        &self,
        tx: &WriteTx,
        number: &str,
        wish: FulfilEvent,
        inputs: &[Option<String>; 5],
        by: By<'_>,
    ) -> Result<orders::Model, LifecycleError> {
        let before = store::lock_by_number(tx, number).await?.ok_or(LifecycleError::NotFound)?;
        let to = rules::next_fulfil(before.fulfilment(), wish, None)?;
        let mut after = before.clone();
        let columns = [&mut after.aa, &mut after.bb, &mut after.cc, &mut after.dd, &mut after.ee];
        for (column, input) in columns.into_iter().zip(inputs) {
            if let Some(input) = input {
                column.clone_from(input);
            }
        }
        arrive(&mut after, to, self.clock.now_ms());
        self.save(tx, before, after, wish.name(), by).await
    }
}

/// Sets a fulfilment state and the times that go with it.
pub(super) fn arrive(order: &mut orders::Model, to: FulfilState, now: i64) {
    order.fulfil_state = Some(to.into());
    order.lease_until = 0;
    match to {
        FulfilState::InProgress if order.start_time == 0 => order.start_time = now,
        FulfilState::Done => (order.end_time, order.fulfilled_at) = (now, now),
        FulfilState::Refunded => order.end_time = now,
        _ => {}
    }
}
