use contracts::{
    events::KeyUsed,
    identity::{Actor, ActorKind},
};
use platform::seal::sha256_hex;
use sea_orm::DbErr;

use super::{service::SupplierError, store};
use crate::{
    app::Ctx,
    entities::{goods as goods_row, supplier_key},
    goods,
};

/// The use of a key is told this often at most.
const TELL_EVERY_MS: i64 = 300_000;

/// A key that was checked.
#[derive(Debug, Clone)]
pub struct Supplier {
    pub id: i64,
    pub actor: Actor,
    goods_ids: Vec<i64>,
}

impl Supplier {
    /// Whose key it is. Unknown, disabled and outdated keys are not told apart.
    pub async fn of(ctx: &Ctx, apikey: &str) -> Result<Self, SupplierError> {
        let hash = sha256_hex(apikey.as_bytes());
        let key = store::key_by_hash(&ctx.platform.db, &hash).await?.ok_or(SupplierError::BadKey)?;
        let alive = key.expires_at == 0 || ctx.platform.clock.now_ms() < key.expires_at;
        if !key.enabled || !alive {
            return Err(SupplierError::BadKey);
        }
        note_use(ctx, &key).await?;
        let supplier_key::Model { supplier_id: id, supplier_name: name, goods_ids, .. } = key;
        let goods_ids = serde_json::from_str(&goods_ids).unwrap_or_default();
        Ok(Self { id, actor: Actor { kind: ActorKind::Supplier, id, name }, goods_ids })
    }

    /// The goods, if this key opens them.
    pub async fn goods(&self, ctx: &Ctx, id: i64) -> Result<goods_row::Model, SupplierError> {
        self.check(id)?;
        goods::find(ctx.platform.db.conn(), id).await?.ok_or(SupplierError::NotYourGoods)
    }

    pub fn check(&self, goods_id: i64) -> Result<(), SupplierError> {
        if self.goods_ids.contains(&goods_id) { Ok(()) } else { Err(SupplierError::NotYourGoods) }
    }
}

/// Tells auth-service that the key is in use, so that its page can say since when it is not.
async fn note_use(ctx: &Ctx, key: &supplier_key::Model) -> Result<(), DbErr> {
    let now = ctx.platform.clock.now_ms();
    if key.used_at > now - TELL_EVERY_MS {
        return Ok(());
    }
    let tx = ctx.platform.db.write_tx().await?;
    if store::mark_used(&tx, key.key_id, now, now - TELL_EVERY_MS).await? {
        let used = KeyUsed { key_id: key.key_id, at: now, sign: "none".into() };
        ctx.platform.outbox.append(&tx, key.key_id.to_string(), &used).await?;
    }
    tx.commit().await
}
