//! Hostile input for parsers: good examples, damaged at random in small ways, every one of them a case.
//!
//! What it is: mutation of a corpus with a fixed seed, so that a run is the same everywhere, and a failure is made
//! smaller before it is told. What it is not: guided by coverage. A crate for that wants another compiler, and one
//! for properties would rebuild half of the workspace with other features of regex.
//! `BAODAN_FUZZ_CASES` and `BAODAN_FUZZ_SEED` make a run longer or another one (`make fuzz`).

use std::{
    any::Any,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use fastrand::Rng;

use crate::mode::variable;

/// Damages of one input.
const MAX_DAMAGES: usize = 6;
/// Inputs stay below this: limits on size have tests of their own.
const MAX_BYTES: usize = 256 * 1024;
const MAX_INSERTED: usize = 24;
const MAX_MOVED: usize = 64;
/// Tries to make a failing input smaller.
const SHRINKING: usize = 2_000;
/// Where numbers are read, these are what hurts.
const NUMBERS: &[&str] = &[
    "0",
    "-1",
    "00",
    "1e308",
    "-1e-308",
    "NaN",
    "65535",
    "65536",
    "2147483648",
    "4294967295",
    "9007199254740993",
    "9223372036854775807",
    "9223372036854775808",
    "18446744073709551616",
    "1e999",
    "0x7f",
    "",
];

/// A parser under fire.
#[derive(Debug)]
pub struct Fuzz<'a> {
    /// Files that are examples too: those that failed once belong there.
    pub folder: &'a str,
    /// Good inputs.
    pub examples: Vec<Vec<u8>>,
    /// What the format is made of.
    pub words: &'static [&'static [u8]],
    /// In an ordinary run.
    pub cases: u32,
}

impl Fuzz<'_> {
    /// Hands every example, and then damaged ones, to `check`, which panics where the parser does what it must not.
    ///
    /// # Panics
    /// With a small input that `check` does not like, ready to be kept in `folder`.
    pub fn run(mut self, check: impl Fn(&[u8])) {
        self.examples.extend(kept(Path::new(self.folder)));
        assert!(!self.examples.is_empty(), "fuzzing needs an example");
        self.examples.iter().for_each(|example| check(example));
        let mut rng = Rng::with_seed(setting("BAODAN_FUZZ_SEED").unwrap_or(1).into());
        for _ in 0..setting("BAODAN_FUZZ_CASES").unwrap_or(self.cases) {
            let mut input = self.examples[rng.usize(..self.examples.len())].clone();
            for _ in 0..rng.usize(1..=MAX_DAMAGES) {
                self.damage(&mut input, &mut rng);
                input.truncate(MAX_BYTES);
            }
            if let Err(why) = complaint(&check, &input) {
                self.tell(&why, &smaller(&check, input));
            }
        }
    }

    fn damage(&self, input: &mut Vec<u8>, rng: &mut Rng) {
        let at = rng.usize(..=input.len());
        let end = (at + rng.usize(1..MAX_MOVED)).min(input.len());
        match rng.u8(..9) {
            0 if at < input.len() => input[at] ^= 1 << rng.u8(..8),
            1 if at < input.len() => input[at] = [0, 0x7f, 0x80, 0xff, rng.u8(..)][rng.usize(..5)],
            2 if !self.words.is_empty() => insert(input, at, self.words[rng.usize(..self.words.len())]),
            3 => drop(input.drain(at..end)),
            4 => {
                let piece = input[at..end].repeat(rng.usize(1..40));
                insert(input, at, &piece);
            }
            5 => {
                let Some(start) = input[at..].iter().position(u8::is_ascii_digit) else { return };
                let digits = input[at + start..].iter().take_while(|b| b.is_ascii_digit()).count();
                let number = NUMBERS[rng.usize(..NUMBERS.len())];
                input.splice(at + start..at + start + digits, number.bytes());
            }
            6 => {
                let other = &self.examples[rng.usize(..self.examples.len())];
                input.truncate(at);
                input.extend_from_slice(&other[rng.usize(..=other.len())..]);
            }
            7 => input.truncate(at),
            _ => {
                let bytes: Vec<u8> = (0..rng.usize(1..MAX_INSERTED)).map(|_| rng.u8(..)).collect();
                insert(input, at, &bytes);
            }
        }
    }

    fn tell(&self, why: &str, input: &[u8]) -> ! {
        let file = std::env::temp_dir().join(format!("baodan-fuzz-{}", std::process::id()));
        fs::write(&file, input).expect("a temporary file");
        let shown = input[..input.len().min(2_000)].escape_ascii();
        panic!("{why}\ninput: {shown}\nkeep {} in {} and mend the parser", file.display(), self.folder);
    }
}

fn complaint(check: &impl Fn(&[u8]), input: &[u8]) -> Result<(), String> {
    catch_unwind(AssertUnwindSafe(|| check(input))).map_err(|panic| text(&*panic))
}

fn text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("it panicked").to_owned()
}

/// Takes pieces out of a failing input for as long as it fails: halves first, single bytes last.
fn smaller(check: &impl Fn(&[u8]), mut input: Vec<u8>) -> Vec<u8> {
    let mut tries = 0;
    let mut piece = input.len() / 2;
    while piece > 0 {
        let mut at = 0;
        while at + piece <= input.len() && tries < SHRINKING {
            tries += 1;
            let less = [&input[..at], &input[at + piece..]].concat();
            if complaint(check, &less).is_err() { input = less } else { at += piece }
        }
        piece /= 2;
    }
    input
}

fn insert(input: &mut Vec<u8>, at: usize, bytes: &[u8]) {
    input.splice(at..at, bytes.iter().copied());
}

fn kept(folder: &Path) -> Vec<Vec<u8>> {
    let Ok(files) = fs::read_dir(folder) else { return Vec::new() };
    let mut paths: Vec<_> = files.map(|file| file.expect("a folder that reads").path()).collect();
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a file that reads")).collect()
}

fn setting(name: &str) -> Option<u32> {
    let text = variable(name)?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn target(examples: &[&[u8]]) -> Fuzz<'static> {
        Fuzz {
            folder: "/nowhere",
            examples: examples.iter().map(|e| e.to_vec()).collect(),
            words: &[b"boom"],
            cases: 3_000,
        }
    }

    #[test]
    fn a_parser_that_fails_somewhere_is_found_and_its_input_made_small() {
        let failing = std::panic::catch_unwind(|| {
            target(&[b"{\"number\": 17, \"list\": [1, 2, 3]}"]).run(|input| {
                let text = String::from_utf8_lossy(input);
                assert!(!text.contains("boom"), "it blew up");
            });
        });
        let why = failing.expect_err("the word is found");
        let why = why.downcast_ref::<String>().expect("a text");
        assert!(why.contains("it blew up") && why.contains("input: boom\n"), "{why}");
    }

    #[test]
    fn a_run_is_the_same_every_time_and_never_empty_handed() {
        let seen = |cases| {
            let seen = std::sync::Mutex::new(Vec::new());
            Fuzz { cases, ..target(&[b"a=1&b=2", b""]) }
                .run(|input| seen.lock().unwrap().push(input.to_vec()));
            seen.into_inner().unwrap()
        };
        let (one, two) = (seen(200), seen(200));
        assert_eq!(one, two);
        let different: std::collections::HashSet<_> = one.iter().collect();
        assert!(different.len() > 100, "{} different inputs", different.len());
    }
}
