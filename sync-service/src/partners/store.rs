use std::collections::{BTreeSet, HashMap};

use contracts::events::PartnerChanged;
use platform::db::WriteTx;
use sea_orm::{ColumnTrait, DbErr, EntityTrait, QueryFilter, Set, sea_query::OnConflict};

use crate::{batch, changes::rules::Privacy, entities::partner};

/// How customers are shown to each of these partners; one that is not known yet is not in the map.
pub async fn privacies(tx: &WriteTx, ids: &BTreeSet<i64>) -> Result<HashMap<i64, Privacy>, DbErr> {
    let partners =
        partner::Entity::find().filter(partner::Column::Id.is_in(ids.iter().copied())).all(tx).await?;
    Ok(partners.into_iter().map(|p| (p.id, Privacy::from_word(&p.privacy))).collect())
}

/// Keeps the highest version of each partner.
pub async fn keep(tx: &WriteTx, p: &PartnerChanged) -> Result<(), DbErr> {
    let row = partner::ActiveModel {
        id: Set(p.id),
        version: Set(p.version),
        name: Set(p.name.clone()),
        account_id: Set(p.account_id),
        enabled: Set(p.enabled),
        privacy: Set(p.privacy.clone()),
    };
    partner::Entity::insert(row)
        .on_conflict(OnConflict::column(partner::Column::Id).do_nothing().to_owned())
        .exec_without_returning(tx)
        .await?;
    let sql = "UPDATE partner SET version = $2, name = $3, account_id = $4, enabled = $5, privacy = $6
        WHERE id = $1 AND version < $2";
    let values = vec![
        p.id.into(),
        p.version.into(),
        p.name.as_str().into(),
        p.account_id.into(),
        p.enabled.into(),
        p.privacy.as_str().into(),
    ];
    batch::execute(tx, sql, values).await.map(|_| ())
}
