//! Events, what is offered for them and what is sold: the tables whose rows refer to each other.

use std::io;
use std::path::Path;

use super::Size;
use super::calendar::{DAY_S, DAYS, Day, Moment};
use super::dimension::Venues;
use super::people;
use super::random::Random;
use super::table::{Table, Written};
use super::words::{self, CATEGORIES};

/// The ticket price that a share of listings stays below: (share in thousandths, dollars), straight lines between.
const PRICES: [(u64, u64); 11] = [
    (0, 20),
    (20, 30),
    (50, 44),
    (100, 63),
    (250, 110),
    (500, 207),
    (750, 390),
    (900, 690),
    (950, 960),
    (985, 1_400),
    (1_000, 2_500),
];
/// Of a thousand sales, how many are of at most 1, 2 … 8 tickets.
const TICKETS_SOLD: [u64; 8] = [450, 790, 869, 976, 983, 992, 994, 1_000];
/// Of a hundred listings, how many have at most 0, 1 … 6 sales before they are kept on course.
const SALES_OF_A_LISTING: [u64; 7] = [52, 77, 90, 96, 98, 99, 100];
/// When shows begin: seconds of the day.
const STARTS_S: [u32; 5] = [14 * 3_600 + 1_800, 15 * 3_600, 19 * 3_600, 19 * 3_600 + 1_800, 20 * 3_600];
/// Listings appear this many days before the event.
const LEAD_DAYS: (u64, u64) = (8, 54);
/// How far the number of sales may be from its share while there are listings left to even it out.
const SLACK: u64 = 400;

/// What listings need to know of the events: when they start, how dear they are, how much they are wanted.
pub struct Events {
    starts: Vec<Moment>,
    /// Percent of the ordinary price.
    price_percents: Vec<u64>,
    cumulative_demand: Vec<u64>,
}

pub fn events(folder: &Path, size: &Size, venues: &Venues) -> io::Result<(Written, Events)> {
    let mut table = Table::create(folder, "event", "eventid|venueid|catid|dateid|eventname|starttime")?;
    let mut random = Random::new(size.seed, "event");
    let weights = cumulative(CATEGORIES.iter().map(|category| category.weight));
    let mut events = Events { starts: Vec::new(), price_percents: Vec::new(), cumulative_demand: Vec::new() };
    let mut demand = 0;
    for id in 1..=size.events {
        let category = random.weighted(&weights);
        let houses = venues.for_genre(CATEGORIES[category].genre);
        let venue = houses[random.below(houses.len() as u64) as usize];
        let start = event_start(&mut random);
        let name = words::event_name(category, random.below(words::TITLES));
        table.number(id).number(venue).number(category as u64 + 1).number(start.day().date_id().into());
        table.text(&name).moment(start).end()?;
        // One event in twenty is a hit that half the town wants to see.
        demand += 20 + random.below(100) + if random.chance(5) { 300 } else { 0 };
        events.starts.push(start);
        events.price_percents.push(70 + random.below(80));
        events.cumulative_demand.push(demand);
    }
    Ok((table.finish()?, events))
}

/// Any day but the year's first three; few on Mondays.
fn event_start(random: &mut Random) -> Moment {
    let mut day = Day(3 + random.below(u64::from(DAYS) - 3) as u32);
    if day.weekday() == 0 && random.chance(60) {
        day = Day((day.0 + 5).min(DAYS - 1));
    }
    Moment::on(day, STARTS_S[random.below(STARTS_S.len() as u64) as usize])
}

/// One offer of tickets.
struct Listing {
    id: u64,
    seller: u64,
    event: usize,
    tickets: u64,
    price: u64,
    listed: Moment,
    /// When the event starts, by which everything must be sold.
    until: Moment,
}

pub fn listings_and_sales(folder: &Path, size: &Size, events: &Events) -> io::Result<(Written, Written)> {
    let header = "listid|sellerid|eventid|dateid|numtickets|priceperticket|totalprice|listtime";
    let mut listings = Table::create(folder, "listing", header)?;
    let header = "saleid|listid|sellerid|buyerid|eventid|dateid|qtysold|pricepaid|commission|saletime";
    let mut sales = Table::create(folder, "sale", header)?;
    let mut random = Random::new(size.seed, "listing");
    let mut sold = 0;
    let mut id = 0;
    for position in 0..size.listings {
        // Ids have gaps: about one offer in five was withdrawn.
        id += if random.chance(82) { 1 } else { 2 };
        let mut listing = draw_listing(&mut random, size, events, id);
        let count = sales_of(&mut random, size, position, sold);
        // What sells in several parts was a large offer.
        listing.tickets = listing.tickets.max(count * 4);
        write_listing(&mut listings, &listing)?;
        write_sales(&mut sales, &mut random, size, &listing, (sold, count))?;
        sold += count;
    }
    Ok((listings.finish()?, sales.finish()?))
}

fn draw_listing(random: &mut Random, size: &Size, events: &Events, id: u64) -> Listing {
    let event = random.weighted(&events.cumulative_demand);
    let until = events.starts[event];
    let lead = LEAD_DAYS.0 + random.below(LEAD_DAYS.1 - LEAD_DAYS.0);
    let event_day = u64::from(until.day().0);
    // Early in the year there is less time ahead of the event: spread over what there is.
    let day = if lead <= event_day { event_day - lead } else { random.below(event_day) };
    let tickets = match random.below(10) {
        0..4 => 1 + random.below(8),
        4..7 => 1 + random.below(20),
        _ => 1 + random.below(30),
    };
    Listing {
        id,
        seller: people::seller(random, size),
        event,
        tickets,
        price: ticket_price(random, events.price_percents[event]),
        listed: Moment::on(Day(day as u32), random.below(u64::from(DAY_S)) as u32),
        until,
    }
}

/// Whole dollars, by the inverse of [`PRICES`].
fn ticket_price(random: &mut Random, percent: u64) -> u64 {
    let share = random.below(1_000_000);
    let upper = PRICES.partition_point(|(edge, _)| edge * 1_000 <= share).min(PRICES.len() - 1);
    let ((from, low), (to, high)) = (PRICES[upper - 1], PRICES[upper]);
    let price = low + (high - low) * (share - from * 1_000) / ((to - from) * 1_000);
    (price * percent / 100).clamp(20, 2_500)
}

/// How many sales the listing at `position` has. The numbers are random, yet the whole comes out exactly: what was sold so
/// far stays within [`SLACK`] of its share, and the slack closes towards the last listing.
fn sales_of(random: &mut Random, size: &Size, position: u64, sold: u64) -> u64 {
    let left = size.listings - position - 1;
    let share = (u128::from(position + 1) * u128::from(size.sales) / u128::from(size.listings)) as u64;
    let slack = (left / 4).min(SLACK);
    let drawn = random.weighted(&SALES_OF_A_LISTING) as u64;
    let least = (share - slack.min(share)).saturating_sub(sold);
    let most = (share + slack).saturating_sub(sold);
    drawn.clamp(least, most.max(least))
}

fn write_listing(table: &mut Table, listing: &Listing) -> io::Result<()> {
    table.number(listing.id).number(listing.seller).number(listing.event as u64 + 1);
    table.number(listing.listed.day().date_id().into()).number(listing.tickets);
    table.money(listing.price * 100).money(listing.price * listing.tickets * 100).moment(listing.listed).end()
}

/// Writes `count` sales with ids after `sold`, in order of time.
fn write_sales(
    table: &mut Table,
    random: &mut Random,
    size: &Size,
    listing: &Listing,
    (sold, count): (u64, u64),
) -> io::Result<()> {
    let room = f64::from(listing.until.0 - listing.listed.0 - 1);
    // The square root leans towards the event: most people decide late.
    let mut times: Vec<u32> = (0..count).map(|_| listing.listed.0 + 1 + (room * random.unit().sqrt()) as u32).collect();
    times.sort_unstable();
    let mut tickets = listing.tickets;
    for (later, (id, time)) in (0..count).rev().zip((sold + 1..).zip(times)) {
        // Every later sale needs a ticket too.
        let quantity = (1 + random.weighted(&TICKETS_SOLD) as u64).min(tickets - later);
        tickets -= quantity;
        let time = Moment(time);
        let cents = quantity * listing.price * 100;
        let buyer = people::buyer(random, size, listing.seller);
        table.number(id).number(listing.id).number(listing.seller).number(buyer).number(listing.event as u64 + 1);
        table.number(time.day().date_id().into()).number(quantity).money(cents).money(cents * 15 / 100).moment(time).end()?;
    }
    Ok(())
}

fn cumulative(weights: impl Iterator<Item = u64>) -> Vec<u64> {
    weights
        .scan(0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect()
}
