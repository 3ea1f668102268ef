//! Which customers the list holds, chunk by chunk; no connection is held between two chunks.

use platform::db::Db;
use sea_orm::DbErr;

use super::store_list::{self as store, Subscriber, Within};
use crate::wire::Paging;

/// Customers of one chunk.
const CHUNK: u64 = 500;
/// Up to so many customers in the window are sought out by their subscriptions; for more, all customers are gone
/// through, of whom then a good part is wanted.
const FEW: i64 = 20_000;
/// The same for subscriptions.
const FEW_SUBSCRIPTIONS: i64 = 500_000;

/// A customer list under way.
pub struct Listing {
    db: Db,
    source: Source,
    /// Customers still wanted.
    left: u64,
}

enum Source {
    /// These, newest last.
    Known(Vec<i64>),
    /// Those below an id, after so many that are left out.
    Walk {
        within: Within,
        mobile: Option<String>,
        below: i64,
        skip: u64,
    },
    Ended,
}

impl Listing {
    /// Finds the place to start from. Without `page` all customers are listed.
    ///
    /// # Errors
    /// The database.
    pub async fn open(
        db: &Db,
        within: Within,
        mobile: Option<String>,
        page: Option<Paging>,
    ) -> Result<Self, DbErr> {
        let (skip, left) = page.map_or((0, u64::MAX), |p| (p.offset(), p.limit));
        let known = match mobile {
            Some(_) => None,
            None => few(db, within).await?,
        };
        let source = match known {
            Some(mut ids) => {
                let keep = ids.len().saturating_sub(usize::try_from(skip).unwrap_or(usize::MAX));
                ids.truncate(keep);
                Source::Known(ids)
            }
            None => Source::Walk { within, mobile, below: i64::MAX, skip },
        };
        Ok(Self { db: db.clone(), source, left })
    }

    /// The next chunk; empty = that was all.
    ///
    /// # Errors
    /// The database.
    pub async fn next(&mut self) -> Result<Vec<Subscriber>, DbErr> {
        let conn = self.db.conn();
        let wanted = self.left.min(CHUNK);
        let ids = match &mut self.source {
            _ if wanted == 0 => Vec::new(),
            Source::Ended => Vec::new(),
            Source::Known(ids) => {
                ids.split_off(ids.len().saturating_sub(usize::try_from(wanted).unwrap_or(usize::MAX)))
            }
            Source::Walk { within, mobile, below, skip } => {
                let ids =
                    store::next_customers(conn, *within, mobile.as_deref(), *below, *skip, wanted).await?;
                (*below, *skip) = (ids.last().copied().unwrap_or(0), 0);
                ids
            }
        };
        if (ids.len() as u64) < wanted {
            self.source = Source::Ended;
        }
        self.left -= ids.len() as u64;
        if ids.is_empty() { Ok(Vec::new()) } else { store::subscribers(conn, &ids).await }
    }
}

/// The customers of the window, each once, newest last; `None` when they are many.
async fn few(db: &Db, within: Within) -> Result<Option<Vec<i64>>, DbErr> {
    let found = store::customers_of(db.conn(), within, FEW_SUBSCRIPTIONS + 1, FEW + 1).await?;
    let subscriptions: i64 = found.iter().map(|(_, n)| n).sum();
    if subscriptions > FEW_SUBSCRIPTIONS || i64::try_from(found.len()).unwrap_or(i64::MAX) > FEW {
        return Ok(None);
    }
    let mut ids: Vec<i64> = found.into_iter().map(|(id, _)| id).collect();
    ids.sort_unstable();
    Ok(Some(ids))
}
