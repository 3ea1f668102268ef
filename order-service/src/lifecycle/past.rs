//! Orders that came about earlier, told by the same tables and written in bulk: test data, without the wait.

use contracts::{events::OrderStateChanged, identity::Actor, order_state::FulfilState};
use platform::db::Db;
use sea_orm::DbErr;

use super::{
    fulfil::arrive,
    rules::{self, FulfilEvent, PaymentEvent, Refusal},
    service::{By, Change, Lifecycle, enter, facts, placed},
    store_bulk,
};
use crate::entities::{order_history, orders};

/// Something that happened to an order after it was placed.
#[derive(Debug, Clone)]
pub enum Deed {
    /// With this trade number.
    Pay(String),
    Cancel,
    Expire,
    /// The state it led to.
    Work(FulfilEvent, FulfilState),
    /// Counters of the work: start and now.
    Count(i64, i64),
}

/// An order and how it came about.
#[derive(Debug)]
pub struct Told {
    pub order: orders::Model,
    pub history: Vec<order_history::Model>,
    pub events: Vec<OrderStateChanged>,
}

/// Tells the life of an order: `draft` is the row as it was placed, without states, by `buyer`.
///
/// # Errors
/// A deed that the tables do not allow.
pub fn tell(draft: orders::Model, buyer: &Actor, deeds: &[(i64, Deed, &Actor)]) -> Result<Told, Refusal> {
    let order = placed(draft)?;
    let mut told = Told { order: order.clone(), history: Vec::new(), events: Vec::new() };
    told.note(Change { event: PaymentEvent::Place.name(), before: None, after: order }, buyer);
    for (at, deed, actor) in deeds {
        let mut after = told.order.clone();
        let event = befall(&mut after, deed, actor, *at)?;
        after.updated_at = *at;
        if let Some(event) = event {
            after.version += 1;
            let before = Some(std::mem::replace(&mut told.order, after.clone()));
            told.note(Change { event, before, after }, actor);
        } else {
            told.order = after;
        }
    }
    Ok(told)
}

/// Applies a deed; answers the name of the change, if it is one.
fn befall(
    order: &mut orders::Model,
    deed: &Deed,
    actor: &Actor,
    at: i64,
) -> Result<Option<&'static str>, Refusal> {
    let pay = |order: &orders::Model, event: PaymentEvent| {
        rules::next_payment(Some(order.payment_state()), event, &facts(order, at)).map(i16::from)
    };
    let event = match deed {
        Deed::Pay(trade) => {
            order.state = pay(order, PaymentEvent::Pay)?;
            order.third_trade_num.clone_from(trade);
            enter(order, at)?;
            PaymentEvent::Pay.name()
        }
        Deed::Cancel => {
            order.state = pay(order, PaymentEvent::Cancel)?;
            PaymentEvent::Cancel.name()
        }
        Deed::Expire => {
            order.state = pay(order, PaymentEvent::Expire)?;
            PaymentEvent::Expire.name()
        }
        Deed::Work(event, to) => {
            let from = order.fulfilment();
            let to = rules::next_fulfil(from, *event, Some(*to))?;
            if *event == FulfilEvent::Claim {
                order.supplier_id = actor.id;
                order.claimed_from = from.map_or(order.initial_state, i16::from);
            }
            if *event == FulfilEvent::Refund {
                order.refund_fen =
                    rules::refund_fen(order.total_fen, order.need_num_0, order.start_num, None);
            }
            arrive(order, to, at);
            event.name()
        }
        Deed::Count(start, now) => {
            (order.start_num, order.now_num) = (*start, *now);
            return Ok(None);
        }
    };
    Ok(Some(event))
}

impl Told {
    fn note(&mut self, change: Change, actor: &Actor) {
        let by = By { actor, reason: "" };
        let (common, changed) = change.history(by);
        self.history.push(order_history::Model {
            order_id: change.after.id,
            seq: change.after.version,
            at: common.at,
            event: common.event.into(),
            actor_kind: actor.kind.as_str().into(),
            actor_id: actor.id,
            actor_name: actor.name.clone(),
            from_state: common.from_state,
            to_state: common.to_state,
            from_fulfil: common.from_fulfil,
            to_fulfil: common.to_fulfil,
            reason: common.reason.into(),
            changed,
        });
        self.events.push(change.event(by));
    }
}

impl Lifecycle {
    /// Writes orders with their histories, all or none, by COPY where there is one.
    ///
    /// # Errors
    /// The database; ids or numbers that exist.
    pub async fn load(&self, db: &Db, told: &[Told]) -> Result<(), DbErr> {
        if db.is_postgres() { store_bulk::copy(db, told).await } else { self.write(db, told, false).await }
    }

    /// The same with their events in the outbox.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub async fn load_and_publish(&self, db: &Db, told: &[Told]) -> Result<(), DbErr> {
        self.write(db, told, true).await
    }

    async fn write(&self, db: &Db, told: &[Told], publish: bool) -> Result<(), DbErr> {
        let tx = db.write_tx().await?;
        store_bulk::insert(&tx, told).await?;
        if publish {
            let events = told.iter().flat_map(|t| t.events.iter().map(|e| (t.order.number.clone(), e)));
            self.outbox.append_many(&tx, &events.collect::<Vec<_>>()).await?;
        }
        tx.commit().await
    }
}

#[cfg(test)]
mod tests {
    use contracts::identity::ActorKind;

    use super::*;

    fn draft(total_fen: i64) -> orders::Model {
        orders::Model {
            id: 7,
            number: "2611211404050261234".into(),
            kind: "service".into(),
            total_fen,
            need_num_0: 100,
            initial_state: 1,
            checkout_at: 1000,
            expire_at: 9000,
            ..Default::default()
        }
    }

    #[test]
    fn a_told_life_is_gapless_and_ends_where_its_last_deed_led() {
        let supplier = Actor { kind: ActorKind::Supplier, id: 5, name: "s".into() };
        let buyer = Actor::system("shop");
        let deeds = [
            (2000, Deed::Pay("T1".into()), &buyer),
            (3000, Deed::Work(FulfilEvent::Claim, FulfilState::InProgress), &supplier),
            (4000, Deed::Count(10, 110), &supplier),
            (5000, Deed::Work(FulfilEvent::Edit, FulfilState::Done), &supplier),
        ];
        let told = tell(draft(500), &buyer, &deeds).expect("a life the tables allow");
        let seqs: Vec<_> = told.history.iter().map(|h| (h.seq, h.event.as_str(), h.to_fulfil)).collect();
        assert_eq!(
            seqs,
            [(1, "place", None), (2, "pay", Some(1)), (3, "claim", Some(2)), (4, "edit", Some(3))]
        );
        let order = &told.order;
        assert_eq!((order.version, order.state, order.fulfil_state), (4, 3, Some(3)));
        assert_eq!((order.paid_at, order.start_time, order.fulfilled_at), (2000, 3000, 5000));
        assert_eq!((order.supplier_id, order.now_num), (5, 110));
        assert!(!told.history[3].changed.contains("\"now_num\""), "a counter's tick was no change");
        assert_eq!(told.events.iter().map(|e| e.order_seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    }

    #[test]
    fn what_the_tables_refuse_is_not_told() {
        let buyer = Actor::system("shop");
        let late = [(9001, Deed::Pay("T1".into()), &buyer)];
        assert!(tell(draft(500), &buyer, &late).is_err());
        let free = [(2000, Deed::Pay("T1".into()), &buyer)];
        assert!(tell(draft(0), &buyer, &free).is_err());
        let early = [(2000, Deed::Work(FulfilEvent::Edit, FulfilState::Done), &buyer)];
        assert!(tell(draft(0), &buyer, &early).is_err());
    }
}
