//! Where the pages of a long list lie: the ids of its orders in buckets, oldest first, so that any rank is
//! found by one bounded look into one bucket. Pure; `pages` keeps such maps and fills them.

use sea_orm::FromQueryResult;

/// Orders in a full bucket: a page that starts inside one skips at most so many index entries.
pub const BUCKET: i64 = 512;

/// Orders that follow each other in a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromQueryResult)]
pub struct Bucket {
    pub first: i64,
    pub last: i64,
    pub n: i64,
}

/// The orders of one filter with ids below `covered`, counted.
#[derive(Debug, Clone, Default)]
pub struct PageMap {
    /// First id, and how many orders stand before it.
    buckets: Vec<(i64, i64)>,
    total: i64,
    covered: i64,
}

/// A rank that is known but for the orders in `from..below`, which are to be counted and added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rank {
    pub base: i64,
    pub from: i64,
    pub below: i64,
}

impl PageMap {
    pub fn covered(&self) -> i64 {
        self.covered
    }

    /// Adds what follows; afterwards everything below `covered` is in.
    pub fn extend(&mut self, buckets: &[Bucket], covered: i64) {
        for bucket in buckets {
            self.buckets.push((bucket.first, self.total));
            self.total += bucket.n;
        }
        self.covered = covered;
    }

    /// Forgets every bucket that reaches to `floor` or beyond, for it may have changed.
    pub fn cut(&mut self, floor: i64) {
        if floor >= self.covered {
            return;
        }
        // The bucket that holds `floor` goes as a whole.
        let keep = self.buckets.partition_point(|(first, _)| *first <= floor).saturating_sub(1);
        if let Some((first, before)) = self.buckets.get(keep).copied() {
            self.buckets.truncate(keep);
            self.total = before;
            self.covered = if keep == 0 { 0 } else { first };
        } else {
            self.covered = floor;
        }
    }

    /// How many orders have an id below `id`.
    pub fn rank(&self, id: i64) -> Rank {
        if id >= self.covered {
            return Rank { base: self.total, from: self.covered, below: id };
        }
        match self.buckets.partition_point(|(first, _)| *first <= id).checked_sub(1) {
            Some(at) => {
                let (first, before) = self.buckets[at];
                Rank { base: before, from: first, below: id }
            }
            None => Rank { base: 0, from: id, below: id },
        }
    }

    /// An id that is no larger than that of the order of this rank; 0 for ranks before the first.
    pub fn floor(&self, rank: i64) -> i64 {
        let at = self.buckets.partition_point(|(_, before)| *before <= rank).checked_sub(1);
        at.map_or(0, |at| self.buckets[at].0)
    }

    /// The end of the bucket that holds the order of this rank, and how many orders of the bucket lie above it.
    pub fn seek(&self, rank: i64) -> Option<(i64, i64)> {
        if rank < 0 || rank >= self.total {
            return None;
        }
        let at = self.buckets.partition_point(|(_, before)| *before <= rank);
        let (end, count) = self.buckets.get(at).copied().unwrap_or((self.covered, self.total));
        Some((end, count - 1 - rank))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A map of orders with the ids 10, 20, 30 … in buckets of three.
    fn map(orders: i64) -> PageMap {
        let mut map = PageMap::default();
        let ids: Vec<i64> = (1..=orders).map(|n| n * 10).collect();
        let buckets: Vec<Bucket> =
            ids.chunks(3).map(|c| Bucket { first: c[0], last: c[c.len() - 1], n: c.len() as i64 }).collect();
        map.extend(&buckets, orders * 10 + 1);
        map
    }

    fn counted(rank: Rank, orders: i64) -> i64 {
        let in_between = (1..=orders).filter(|n| (rank.from..rank.below).contains(&(n * 10))).count();
        rank.base + in_between as i64
    }

    #[test]
    fn the_rank_of_an_id_is_the_number_of_orders_before_it() {
        for orders in [0, 1, 2, 3, 4, 8, 9, 10] {
            let map = map(orders);
            for id in 0..=orders * 10 + 20 {
                let expected = (1..=orders).filter(|n| n * 10 < id).count() as i64;
                assert_eq!(counted(map.rank(id), orders), expected, "{orders} orders, id {id}");
            }
        }
    }

    #[test]
    fn a_rank_is_found_in_its_bucket() {
        for orders in 1..=10 {
            let map = map(orders);
            for rank in 0..orders {
                let (end, skip) = map.seek(rank).expect("a rank of the map");
                assert!(skip < 3, "{orders} orders, rank {rank}: {skip}");
                let below: Vec<i64> = (1..=orders).map(|n| n * 10).filter(|id| *id < end).collect();
                let found = below[below.len() - 1 - skip as usize];
                assert_eq!(found, (rank + 1) * 10, "{orders} orders, rank {rank}");
                assert!((found - 20..=found).contains(&map.floor(rank)), "{orders} orders, rank {rank}");
            }
            assert_eq!((map.seek(orders), map.seek(-1), map.floor(-1)), (None, None, 0));
        }
    }

    #[test]
    fn a_map_that_was_cut_grows_to_what_it_was() {
        for floor in 0..=120 {
            let mut cut = map(10);
            cut.cut(floor);
            assert!(cut.covered() <= floor.max(0) || floor >= 101, "{floor}: {}", cut.covered());
            let rest: Vec<Bucket> = (1..=10)
                .map(|n| n * 10)
                .filter(|id| *id >= cut.covered())
                .map(|id| Bucket { first: id, last: id, n: 1 })
                .collect();
            cut.extend(&rest, 101);
            assert_eq!((cut.total, cut.covered()), (10, 101), "cut at {floor}");
            for rank in 0..10 {
                let (end, skip) = cut.seek(rank).expect("a rank of the map");
                let below = (1..=10).map(|n| n * 10).filter(|id| *id < end).count() as i64;
                assert_eq!(below - 1 - skip, rank, "cut at {floor}");
            }
        }
    }
}
