//! After a change of envelope keys: every sealed value under an old key is sealed again under the present one, one
//! row at a time while all goes on, so that the old key can be dropped.
//!
//! A row is swapped only if it is still as it was read; a value whose key is gone stays and is told as an error.

mod store;

use contracts::events::sealed;
use sea_orm::DbErr;
use secrecy::ExposeSecret;

use self::store::SealedValue;
use crate::{ctx::Ctx, delivery::house_key, subscriptions::service as subscriptions};

/// A column of sealed values, and what each is sealed for.
struct Column {
    table: &'static str,
    /// SQL for the text the context is made of.
    of: &'static str,
    name: &'static str,
    context: fn(&str) -> String,
}

fn number(text: &str) -> i64 {
    text.parse().unwrap_or(0)
}

const COLUMNS: &[Column] = &[
    Column {
        table: "subscription",
        of: "CAST(id AS TEXT)",
        name: "secret",
        context: subscriptions::secret_context,
    },
    Column {
        table: "subscription",
        of: "CAST(id AS TEXT)",
        name: "old_secret",
        context: subscriptions::secret_context,
    },
    Column {
        table: "subscription",
        of: "CAST(id AS TEXT)",
        name: "api_token",
        context: subscriptions::token_context,
    },
    Column {
        table: "subscription",
        of: "CAST(id AS TEXT)",
        name: "old_api_token",
        context: subscriptions::token_context,
    },
    Column {
        table: "partner",
        of: "CAST(id AS TEXT)",
        name: "login_hash",
        context: |id| sealed::partner_login(number(id)),
    },
    Column { table: "partner_key", of: "key_sha256", name: "sk", context: |sha256| sealed::key_sk(sha256) },
    Column {
        table: "partner_key",
        of: "key_sha256",
        name: "apipwd_md5",
        context: |sha256| sealed::key_apipwd(sha256),
    },
    Column {
        table: "signing_key",
        of: "CAST(id AS TEXT)",
        name: "private_key",
        context: |_| house_key::CONTEXT.into(),
    },
];

/// Seals all that lies under old keys again; answers how many values.
///
/// # Errors
/// The database is away.
pub async fn run(ctx: &Ctx) -> Result<usize, DbErr> {
    let mut done = 0;
    for column in COLUMNS {
        for value in store::all(&ctx.platform.db, column).await? {
            done += usize::from(one(ctx, column, &value).await?);
        }
    }
    Ok(done)
}

async fn one(ctx: &Ctx, column: &Column, value: &SealedValue) -> Result<bool, DbErr> {
    let sealer = &ctx.platform.sealer;
    if !sealer.needs_rewrap(&value.sealed) {
        return Ok(false);
    }
    let context = (column.context)(&value.place);
    let again = match sealer.open_bytes(&context, &value.sealed) {
        Ok(plain) => sealer.seal(&context, plain.expose_secret()),
        Err(e) => {
            tracing::error!(table = column.table, column = column.name, id = value.id, error = %e, "a secret cannot be sealed again");
            return Ok(false);
        }
    };
    let tx = ctx.platform.db.write_tx().await?;
    let swapped = store::swap(&tx, column, value, &again).await?;
    tx.commit().await?;
    Ok(swapped)
}
