use contracts::events::sealed;
use platform::{db::WriteTx, lifecycle::Turn, seal::SealError};
use sea_orm::DbErr;
use secrecy::ExposeSecret;

use super::{rules::Owner, service, store};
use crate::{
    app::Ctx,
    entities::{Hidden, api_key::Model},
};

const BATCH: u64 = 100;

/// Seals again under the first envelope key what is sealed under an older one, so that the older key can be dropped;
/// tells the other services, which keep the same values. One pass over all keys.
pub async fn rewrap(ctx: &Ctx) -> Result<Turn, DbErr> {
    let Some(first) = ctx.platform.settings.envelope_keys().into_iter().next() else { return Ok(Turn::Idle) };
    let prefix = format!("v1.{}.", first.id);
    let mut after_id = 0;
    loop {
        let tx = ctx.platform.db.write_tx().await?;
        let rows = store::sealed_otherwise(&tx, &prefix, after_id, BATCH).await?;
        let Some(last) = rows.last() else { return Ok(Turn::Idle) };
        after_id = last.id;
        for row in rows {
            rewrap_one(ctx, &tx, row).await?;
        }
        tx.commit().await?;
    }
}

async fn rewrap_one(ctx: &Ctx, tx: &WriteTx, mut row: Model) -> Result<(), DbErr> {
    let again = |context: String, value: &Hidden| -> Result<Hidden, SealError> {
        if value.0.is_empty() {
            return Ok(Hidden::default());
        }
        let plain = ctx.platform.sealer.open(&context, &value.0)?;
        Ok(Hidden(ctx.platform.sealer.seal(&context, plain.expose_secret().as_bytes())))
    };
    let sk = again(sealed::key_sk(&row.key_sha256), &row.sk_sealed);
    let apipwd = again(sealed::key_apipwd(&row.key_sha256), &row.apipwd_md5_sealed);
    match (sk, apipwd) {
        (Ok(sk), Ok(apipwd)) => {
            row.sk_sealed = sk;
            row.apipwd_md5_sealed = apipwd;
            row.version += 1;
            let owner = Owner::of(&row);
            store::save(tx, row.clone()).await?;
            service::announce_one(ctx, tx, owner, row).await
        }
        (Err(e), _) | (_, Err(e)) => {
            tracing::error!(key_id = row.id, error = %e, "a key's secret cannot be sealed again; rotate the key");
            Ok(())
        }
    }
}
