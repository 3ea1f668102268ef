//! The house's Ed25519 key, for receivers that would rather check a published key than share a secret
//! (`v1a` of Standard Webhooks). Made at the first start, sealed; its public half is published.

use aws_lc_rs::{
    encoding::AsBigEndian,
    signature::{Ed25519KeyPair, KeyPair},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use platform::Platform;
use sea_orm::{DbErr, QueryResult};
use secrecy::ExposeSecret;

use crate::{changes::store::lock_feed, sql};

/// What its private half is sealed for.
pub const CONTEXT: &str = "callback:house_key";

pub struct HouseKey {
    pair: Ed25519KeyPair,
    /// `whpk_` and 32 bytes in base64.
    public: String,
}

/// A published key.
#[derive(Debug)]
pub struct Published {
    pub public_key: String,
    /// Unix ms.
    pub created_at: i64,
}

fn broken(what: impl std::fmt::Display) -> DbErr {
    DbErr::Custom(format!("the house's signing key: {what}"))
}

impl HouseKey {
    /// The newest key, made if there is none.
    ///
    /// # Errors
    /// The database is away; the stored key does not open.
    pub async fn load(platform: &Platform) -> Result<Self, DbErr> {
        if let Some(row) = newest(platform).await?.first() {
            return Self::open(platform, row);
        }
        let tx = platform.db.write_tx().await?;
        // Of replicas that start together one makes it.
        lock_feed(&tx).await?;
        let rows = sql::query(&tx, NEWEST, vec![]).await?;
        if let Some(row) = rows.first() {
            return Self::open(platform, row);
        }
        let pair = Ed25519KeyPair::generate().map_err(broken)?;
        let public = format!("whpk_{}", STANDARD.encode(pair.public_key().as_ref()));
        let seed = pair.seed().map_err(broken)?;
        let seed: aws_lc_rs::encoding::Curve25519SeedBin<'_> = seed.as_be_bytes().map_err(broken)?;
        let sealed = platform.sealer.seal(CONTEXT, seed.as_ref());
        let sql = "INSERT INTO signing_key (public_key, private_key, created_at) VALUES ($1, $2, $3)";
        let values = vec![public.as_str().into(), sealed.into(), platform.clock.now_ms().into()];
        sql::execute(&tx, sql, values).await?;
        tx.commit().await?;
        Ok(Self { pair, public })
    }

    fn open(platform: &Platform, row: &QueryResult) -> Result<Self, DbErr> {
        let (public, sealed): (String, String) =
            (row.try_get("", "public_key")?, row.try_get("", "private_key")?);
        let seed = platform.sealer.open_bytes(CONTEXT, &sealed).map_err(broken)?;
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose_secret()).map_err(broken)?;
        Ok(Self { pair, public })
    }

    /// Base64 of the signature.
    pub fn sign(&self, text: &[u8]) -> String {
        STANDARD.encode(self.pair.sign(text))
    }

    pub fn public(&self) -> &str {
        &self.public
    }
}

const NEWEST: &str = "SELECT public_key, private_key FROM signing_key ORDER BY id DESC LIMIT 1";

async fn newest(platform: &Platform) -> Result<Vec<QueryResult>, DbErr> {
    sql::query(platform.db.conn(), NEWEST, vec![]).await
}

/// Every published key, newest first.
///
/// # Errors
/// The database is away.
pub async fn published(platform: &Platform) -> Result<Vec<Published>, DbErr> {
    let sql = "SELECT public_key, created_at FROM signing_key ORDER BY id DESC LIMIT 100";
    let rows = sql::query(platform.db.conn(), sql, vec![]).await?;
    rows.iter()
        .map(|row| {
            Ok(Published {
                public_key: row.try_get("", "public_key")?,
                created_at: row.try_get("", "created_at")?,
            })
        })
        .collect()
}
