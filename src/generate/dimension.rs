//! The small tables: categories, dates, venues.

use std::collections::BTreeSet;
use std::io;
use std::path::Path;

use super::calendar::{DAYS, Day};
use super::random::Random;
use super::table::{Table, Written};
use super::words::{self, Genre};

const VENUES: usize = 202;
/// Venues whose seats nobody has counted.
const UNCOUNTED_VENUES: u64 = 15;

pub fn categories(folder: &Path) -> io::Result<Written> {
    let mut table = Table::create(folder, "category", "catid|catgroup|catname|catdesc")?;
    for (id, category) in (1..).zip(words::CATEGORIES) {
        table.number(id).text(category.genre.name()).text(category.name).text(category.description).end()?;
    }
    table.finish()
}

pub fn dates(folder: &Path) -> io::Result<Written> {
    let mut table = Table::create(folder, "date", "dateid|caldate|day|month|year|week|qtr|holiday")?;
    for day in (0..DAYS).map(Day) {
        let (month, of_month) = day.month_and_day();
        table.number(day.date_id().into()).date(day).number(of_month.into()).number(month.into());
        table.number(super::calendar::YEAR.into()).number(day.week().into()).number((month.div_ceil(3)).into());
        table.truth(Some(day.is_holiday())).end()?;
    }
    table.finish()
}

/// The ids of the venues that suit each genre.
pub struct Venues {
    ids: [Vec<u64>; 3],
}

impl Venues {
    pub fn for_genre(&self, genre: Genre) -> &[u64] {
        &self.ids[genre as usize]
    }
}

pub fn venues(folder: &Path, seed: u64) -> io::Result<(Written, Venues)> {
    let mut table = Table::create(folder, "venue", "venueid|venuename|venuecity|venuestate|venueseats")?;
    let mut random = Random::new(seed, "venue");
    let mut ids = [Vec::new(), Vec::new(), Vec::new()];
    let mut taken = BTreeSet::new();
    let mut id = 0;
    while taken.len() < VENUES {
        // Each kind of house in turn, so that every genre has somewhere to go.
        let house = &words::HOUSES[taken.len() % words::HOUSES.len()];
        let name = format!("{} {}", random.pick(words::PATRONS), house.name);
        if !taken.insert(name.clone()) {
            continue;
        }
        // Ids have gaps, as in a table from which rows were deleted.
        id += 1 + random.below(2);
        let (city, state) = words::city(random.below(words::CITIES));
        table.number(id).text(&name).text(&city).text(state);
        match (taken.len() as u64).is_multiple_of(VENUES as u64 / UNCOUNTED_VENUES) && taken.len() < VENUES {
            true => table.null(),
            false => table.number((house.seats.0 + random.below(house.seats.1 - house.seats.0)) / 10 * 10),
        };
        table.end()?;
        house.genres.iter().for_each(|&genre| ids[genre as usize].push(id));
    }
    Ok((table.finish()?, Venues { ids }))
}
