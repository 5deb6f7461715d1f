//! The users, who buy and sell.

use std::io;
use std::path::Path;

use super::Size;
use super::random::{Random, mix};
use super::table::{Table, Written};
use super::words;

const HEADER: &str = "userid|username|firstname|lastname|city|state|email|phone|likesports|liketheatre|likeconcerts|likejazz|\
                      likeclassical|likeopera|likerock|likevegas|likebroadway|likemusicals";
const LIKES: usize = 10;
const LETTERS: &[u8; 26] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ";

/// Of a hundred users, how many would ever buy, and how many would ever sell.
const BUYERS_PERCENT: u64 = 88;
const SELLERS_PERCENT: u64 = 60;

pub fn users(folder: &Path, size: &Size) -> io::Result<Written> {
    let mut table = Table::create(folder, "user", HEADER)?;
    let mut random = Random::new(size.seed, "user");
    for id in 1..=size.users {
        let (first, last) = (random.pick(words::FIRST_NAMES), random.pick(words::LAST_NAMES));
        let (city, state) = words::city(random.below(words::CITIES));
        table.number(id).text(&username(id)).text(first).text(last).text(&city).text(state);
        table.text(&email(&mut random, first, last, id)).text(&phone(&mut random));
        for _ in 0..LIKES {
            // About a fifth like a thing, a fifth do not, the rest have not said.
            let said = match random.below(100) {
                0..21 => Some(true),
                21..42 => Some(false),
                _ => None,
            };
            table.truth(said);
        }
        table.end()?;
    }
    table.finish()
}

/// Three letters, two digits, three letters. The id runs through the range of such names by a step that shares no factor
/// with it, so that no two users have the same name.
fn username(id: u64) -> String {
    const RANGE: u64 = 26_u64.pow(6) * 100;
    const STEP: u64 = 19_380_255_937;
    let mut code = (u128::from(id) * u128::from(STEP) % u128::from(RANGE)) as u64;
    let mut name = String::with_capacity(8);
    for place in 0..8 {
        let (sign, base) = match place {
            3 | 4 => (b'0' + (code % 10) as u8, 10),
            _ => (LETTERS[(code % 26) as usize], 26),
        };
        name.push(char::from(sign));
        code /= base;
    }
    name
}

fn email(random: &mut Random, first: &str, last: &str, id: u64) -> String {
    let host = random.pick(words::MAIL_HOSTS);
    match random.below(3) {
        0 => format!("{first}.{last}{id}@{host}").to_lowercase(),
        1 => format!("{}{last}.{id}@{host}", &first[..1]).to_lowercase(),
        _ => format!("{last}_{id}@{host}").to_lowercase(),
    }
}

/// North American form, in the 555-01xx range that belongs to nobody.
fn phone(random: &mut Random) -> String {
    format!("({}) 555-01{:02}", 201 + random.below(780), random.below(100))
}

/// Draws a buyer: the longer somebody is a member, the likelier, and never one of those who only look.
pub fn buyer(random: &mut Random, size: &Size, seller: u64) -> u64 {
    loop {
        let user = member(random, size.users);
        if user != seller && inclination(size.seed ^ 0xB1, user) < BUYERS_PERCENT {
            return user;
        }
    }
}

/// Draws a seller, in the same way.
pub fn seller(random: &mut Random, size: &Size) -> u64 {
    loop {
        let user = member(random, size.users);
        if inclination(size.seed ^ 0x5E, user) < SELLERS_PERCENT {
            return user;
        }
    }
}

/// Ids are given in order of joining; the square root leans the draw towards the first.
fn member(random: &mut Random, users: u64) -> u64 {
    let drawn = random.unit();
    let leaning = drawn * (0.5 + 0.5 * drawn.sqrt());
    1 + (leaning * users as f64) as u64
}

/// From 0 to 99, fixed for a user.
fn inclination(salt: u64, user: u64) -> u64 {
    mix(mix(salt) ^ user) % 100
}
