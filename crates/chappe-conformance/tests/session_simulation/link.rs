//! A connection that loses, delays, repeats, reorders and damages frames.

use super::dice::Dice;
use chappe_types::TransportErrorCode;

/// How bad a link is, in events per thousand frames.
#[derive(Clone, Copy, Debug, Default)]
pub struct Faults {
    pub drop: u64,
    pub repeat: u64,
    pub damage: u64,
    pub cut: u64,
    /// Longest delay, in milliseconds.
    pub delay: u64,
}

/// What arrives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Item {
    Frame(Vec<u8>),
    /// A transport error, to the client only.
    Error(TransportErrorCode),
}

/// Frames under way in one direction, each with the time of its arrival in nanoseconds.
#[derive(Debug, Default)]
pub struct Direction {
    under_way: Vec<(u64, Item)>,
}

impl Direction {
    /// Sends a frame; returns whether the connection survives it.
    pub fn send(&mut self, now: u64, item: Item, faults: Faults, rng: &mut Dice) -> bool {
        if rng.chance(faults.cut) {
            return false;
        }
        let copies = if rng.chance(faults.repeat) { 2 } else { 1 };
        for _ in 0..copies {
            if rng.chance(faults.drop) {
                continue;
            }
            let mut item = item.clone();
            if let Item::Frame(bytes) = &mut item
                && rng.chance(faults.damage)
            {
                let bit = rng.below(bytes.len() as u64 * 8) as usize;
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            let delay = 1_000_000 * (1 + rng.below(faults.delay));
            self.under_way.push((now + delay, item));
        }
        true
    }

    pub fn next_at(&self) -> Option<u64> {
        self.under_way.iter().map(|entry| entry.0).min()
    }

    /// Takes the next frame that has arrived.
    pub fn receive(&mut self, now: u64) -> Option<Item> {
        let (place, _) = self.under_way.iter().enumerate().min_by_key(|(_, entry)| entry.0)?;
        (self.under_way[place].0 <= now).then(|| self.under_way.remove(place).1)
    }

    pub fn clear(&mut self) {
        self.under_way.clear();
    }
}
