//! Sample data: the seven tables of TICKIT, a site where people sell each other tickets to events.
//!
//! The tables and columns are those of the well-known sample database; every row is our own invention, drawn from a seeded
//! generator, so that the same seed gives the same bytes on every machine. Keys hold, sale times lie between listing and
//! event, a commission is 15 % of the price, some people never buy, and likes are often unknown.

use std::fs;
use std::io;
use std::path::Path;

mod calendar;
mod dimension;
mod market;
mod people;
mod random;
mod table;
mod words;

/// The seed used where none is given.
pub const SEED: u64 = 20_250_101;

/// Rows at scale 1 of the tables that grow with the scale.
const EVENTS: u64 = 8_798;
const USERS: u64 = 49_990;
const LISTINGS: u64 = 192_497;
const SALES: u64 = 172_456;

/// How much to draw, and from which stream.
struct Size {
    seed: u64,
    events: u64,
    users: u64,
    listings: u64,
    sales: u64,
}

/// Writes `<out>/category/category.txt` and its six like: text with `|` between fields and a header line.
///
/// Events, users, listings and sales number `scale` times those of the original (8,798, 49,990, 192,497, 172,456);
/// categories, dates and venues stay as they are (11, 365, 202). Gives each file's path below `out` and its rows. All files
/// are written beside their places first and moved there once all are complete.
pub fn tickit(out: &Path, scale: u32, seed: u64) -> io::Result<Vec<(String, u64)>> {
    if scale == 0 {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the scale must be 1 or more"));
    }
    let scale = u64::from(scale);
    let size = Size { seed, events: EVENTS * scale, users: USERS * scale, listings: LISTINGS * scale, sales: SALES * scale };
    fs::create_dir_all(out)?;
    let draft = tempfile::Builder::new().prefix(".tickit-").tempdir_in(out)?;
    let written = write(draft.path(), &size)?;
    written.iter().map(|table| Ok((table.publish(draft.path(), out)?, table.rows))).collect()
}

fn write(folder: &Path, size: &Size) -> io::Result<Vec<table::Written>> {
    let category = dimension::categories(folder)?;
    let date = dimension::dates(folder)?;
    let (venue, venues) = dimension::venues(folder, size.seed)?;
    let (event, events) = market::events(folder, size, &venues)?;
    let (listing, sale) = market::listings_and_sales(folder, size, &events)?;
    let user = people::users(folder, size)?;
    Ok(vec![category, date, event, listing, sale, user, venue])
}
