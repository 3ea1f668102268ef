//! All lanes of a process, in the lines where they wait for their turn, and their timers. What the pump asks is
//! answered without walking over all of them.

use std::collections::{BTreeSet, HashMap, VecDeque};

use super::lane::Lane;

#[derive(Default)]
pub struct Lanes {
    pub map: HashMap<i64, Lane>,
    /// Lanes with jobs to send, served in turn.
    pub turn: VecDeque<i64>,
    /// Lanes to claim for.
    pub hunt: VecDeque<i64>,
    /// (unix ms, lane): when a lane is looked at again.
    timers: BTreeSet<(i64, i64)>,
}

impl Lanes {
    /// Looks at the lanes whose time has come.
    pub fn ring(&mut self, now: i64) {
        while let Some((at, id)) = self.timers.first().copied().filter(|(at, _)| *at <= now) {
            self.timers.remove(&(at, id));
            if let Some(lane) = self.map.get_mut(&id) {
                lane.timer = i64::MAX;
                lane.hungry = true;
            }
            self.line_up(id);
        }
    }

    /// Unix ms; i64::MAX = none is set.
    pub fn first_timer(&self) -> i64 {
        self.timers.first().map_or(i64::MAX, |(at, _)| *at)
    }

    /// Looks at a lane again at `at` (unix ms), unless it is looked at earlier anyway.
    pub fn set_timer(&mut self, id: i64, at: i64) {
        let Some(lane) = self.map.get_mut(&id).filter(|lane| at < lane.timer) else { return };
        self.timers.remove(&(lane.timer, id));
        lane.timer = at;
        self.timers.insert((at, id));
    }

    /// Puts a lane into the lines where it has something to do.
    pub fn line_up(&mut self, id: i64) {
        let Some(lane) = self.map.get_mut(&id) else { return };
        if !lane.ready.is_empty() && !lane.in_turn {
            lane.in_turn = true;
            self.turn.push_back(id);
        }
        if lane.hungry && !lane.in_hunt {
            lane.in_hunt = true;
            self.hunt.push_back(id);
        }
    }
}
