//! Orders by the thousand: COPY on PostgreSQL, many rows a statement elsewhere.

use platform::db::{
    Db, WriteTx,
    copy::{self, Rows},
};
use sea_orm::{ActiveModelTrait, DbErr, EntityTrait, IdenStatic, IntoActiveModel, Iterable, ModelTrait};

use super::past::Told;
use crate::entities::{order_history, order_outer_id, orders};

/// Rows of one statement: SQLite takes 32,766 values.
const ORDERS: usize = 400;
const HISTORY: usize = 2000;

/// All of it in one transaction.
pub(super) async fn copy(db: &Db, told: &[Told]) -> Result<(), DbErr> {
    let tables = [
        rows::<order_outer_id::Entity>("order_outer_id", outer_ids(told)),
        rows::<orders::Entity>("orders", told.iter().map(|t| t.order.clone())),
        rows::<order_history::Entity>("order_history", told.iter().flat_map(|t| t.history.iter().cloned())),
    ];
    copy::load(db, &tables).await
}

fn rows<E: EntityTrait>(table: &'static str, models: impl Iterator<Item = E::Model>) -> Rows {
    let names: Vec<&str> = E::Column::iter().map(|c| c.as_str()).collect();
    let mut rows = Rows::new(table, &names);
    models.for_each(|model| rows.push(E::Column::iter().map(|column| model.get(column))));
    rows
}

fn outer_ids(told: &[Told]) -> impl Iterator<Item = order_outer_id::Model> {
    told.iter().filter(|t| !t.order.outer_id.is_empty()).map(|t| order_outer_id::Model {
        partner_id: t.order.partner_id,
        outer_id: t.order.outer_id.clone(),
        number: t.order.number.clone(),
    })
}

pub(super) async fn insert(tx: &WriteTx, told: &[Told]) -> Result<(), DbErr> {
    let outer: Vec<_> = outer_ids(told).map(|row| row.into_active_model().reset_all()).collect();
    for some in outer.chunks(HISTORY) {
        order_outer_id::Entity::insert_many(some.to_vec()).exec_without_returning(tx).await?;
    }
    for some in told.chunks(ORDERS) {
        let models = some.iter().map(|t| t.order.clone().into_active_model().reset_all());
        orders::Entity::insert_many(models).exec_without_returning(tx).await?;
    }
    let history: Vec<_> = told.iter().flat_map(|t| t.history.iter()).collect();
    for some in history.chunks(HISTORY) {
        let models = some.iter().map(|&h| h.clone().into_active_model().reset_all());
        order_history::Entity::insert_many(models).exec_without_returning(tx).await?;
    }
    Ok(())
}
