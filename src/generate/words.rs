//! The words the tables are made of, all invented or everyday: no real person, act, venue or town is meant.

/// What an evening out may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Genre {
    Sports,
    Shows,
    Concerts,
}

impl Genre {
    pub fn name(self) -> &'static str {
        match self {
            Self::Sports => "Sports",
            Self::Shows => "Shows",
            Self::Concerts => "Concerts",
        }
    }
}

pub struct Category {
    pub genre: Genre,
    pub name: &'static str,
    pub description: &'static str,
    /// Of a hundred events, how many are of it.
    pub weight: u64,
}

const fn category(genre: Genre, name: &'static str, description: &'static str, weight: u64) -> Category {
    Category { genre, name, description, weight }
}

/// `catid` is the place in this list, from 1.
pub const CATEGORIES: [Category; 11] = [
    category(Genre::Sports, "Baseball", "League and cup games of baseball", 3),
    category(Genre::Sports, "Hockey", "Ice hockey, regular season and play-offs", 3),
    category(Genre::Sports, "Soccer", "Soccer matches, home and friendly", 3),
    category(Genre::Sports, "Basketball", "Basketball, indoors, all leagues", 3),
    category(Genre::Shows, "Musicals", "Musical theatre with songs and dance", 14),
    category(Genre::Shows, "Plays", "Spoken theatre, old and new", 20),
    category(Genre::Shows, "Opera", "Grand, light and chamber opera", 5),
    category(Genre::Concerts, "Pop", "Pop and rock bands on tour", 32),
    category(Genre::Concerts, "Jazz", "Jazz trios, quartets and big bands", 7),
    category(Genre::Concerts, "Classical", "Symphony, choir and chamber music", 6),
    category(Genre::Concerts, "Folk", "Singers, fiddlers and storytellers", 4),
];

/// A kind of venue: its name, the seats it may have, what it is good for.
pub struct House {
    pub name: &'static str,
    pub seats: (u64, u64),
    pub genres: &'static [Genre],
}

const fn house(name: &'static str, seats: (u64, u64), genres: &'static [Genre]) -> House {
    House { name, seats, genres }
}

pub const HOUSES: [House; 9] = [
    house("Playhouse", (180, 900), &[Genre::Shows]),
    house("Arena", (8_000, 21_000), &[Genre::Sports, Genre::Concerts]),
    house("Theatre", (400, 2_400), &[Genre::Shows]),
    house("Concert Hall", (900, 3_200), &[Genre::Concerts]),
    house("Opera House", (1_200, 3_800), &[Genre::Shows, Genre::Concerts]),
    house("Stadium", (22_000, 74_000), &[Genre::Sports, Genre::Concerts]),
    house("Pavilion", (2_000, 9_000), &[Genre::Shows, Genre::Concerts]),
    house("Ballroom", (300, 1_500), &[Genre::Concerts]),
    house("Park", (5_000, 36_000), &[Genre::Sports]),
];

/// Different event names in a category.
pub const TITLES: u64 = 52;
/// Different towns.
pub const CITIES: u64 = TOWN_ROOTS.len() as u64 * 5;

/// The town of that number: its name and its state, which is always the same.
pub fn city(number: u64) -> (String, &'static str) {
    let root = TOWN_ROOTS[number as usize % TOWN_ROOTS.len()];
    let suffix = TOWN_SUFFIXES[(number * 7 + number / 11) as usize % TOWN_SUFFIXES.len()];
    let state = STATES[(super::random::mix(number + 1) % STATES.len() as u64) as usize];
    (format!("{root}{suffix}"), state)
}

/// The `title`-th of [`TITLES`] names for a category (its place in [`CATEGORIES`]).
pub fn event_name(category: usize, title: u64) -> String {
    // Steps without a common factor with the lists' lengths: words meet in different pairs in each category.
    let draw = |words: &[&'static str], step: u64| words[(title * step + category as u64 * 17) as usize % words.len()];
    let (adjective, noun) = (draw(ADJECTIVES, 1), draw(NOUNS, 7));
    let (first, last) = (draw(FIRST_NAMES, 5), draw(LAST_NAMES, 11));
    let (home, away) = (draw(TOWN_ROOTS, 1), draw(TOWN_ROOTS, 13));
    match CATEGORIES[category].name {
        "Musicals" => format!("{adjective} {noun}, the Musical"),
        "Plays" => format!("The {noun} of {home}"),
        "Opera" => format!("{first} and the {adjective} {noun}"),
        "Pop" => format!("The {adjective} {noun}s"),
        "Jazz" => format!("{first} {last} {}", ENSEMBLES[title as usize % ENSEMBLES.len()]),
        "Classical" => format!("{home} {}", ORCHESTRAS[title as usize % ORCHESTRAS.len()]),
        "Folk" => format!("{first} {last} and the {noun}s"),
        _ => format!("{home} {} at {away}", draw(TEAMS, 3)),
    }
}

pub const STATES: &[&str] = &[
    "AK", "AL", "AR", "AZ", "CA", "CO", "CT", "DC", "DE", "FL", "GA", "HI", "IA", "ID", "IL", "IN", "KS", "KY", "LA", "MA", "MD", "ME", "MI",
    "MN", "MO", "MS", "MT", "NC", "ND", "NE", "NH", "NJ", "NM", "NV", "NY", "OH", "OK", "OR", "PA", "RI", "SC", "SD", "TN", "TX", "UT", "VA",
    "VT", "WA", "WI", "WV", "WY",
];

const TOWN_ROOTS: &[&str] = &[
    "Alder", "Ash", "Barrow", "Beacon", "Birch", "Bram", "Briar", "Calder", "Cedar", "Clear", "Copper", "Cran", "Dun", "Eagle", "East", "Elder",
    "Ember", "Fair", "Fern", "Flint", "Fox", "Glen", "Gran", "Green", "Harrow", "Hazel", "Heron", "High", "Holly", "Iron", "Ivy", "Juniper",
    "Kel", "Lark", "Laurel", "Linden", "Lower", "Maple", "Marsh", "Mill", "Moss", "North", "Oak", "Otter", "Pine", "Quarry", "Raven", "Red",
    "Rose", "Silver", "South", "Stone", "Thorn", "Upper", "Wal", "Wester", "White", "Willow", "Winter", "Wren", "Yarrow",
];

const TOWN_SUFFIXES: &[&str] = &[
    "ton", "field", "ford", " Falls", "brook", "ville", " Springs", "wood", "mouth", " Harbor", "bury", "dale", " Junction", "port", " Mills",
    "ridge", " Bend", "haven", " Landing", "stead",
];

pub const PATRONS: &[&str] = &[
    "Abernathy", "Anchor", "Arcadia", "Aurora", "Bellweather", "Bluebird", "Borough", "Brightwater", "Cathedral Street", "Chandler", "Citadel",
    "Clocktower", "Colonnade", "Corliss", "Daybreak", "Dovetail", "Ellery", "Evergreen", "Exchange", "Ferry Street", "Founders", "Foundry",
    "Gaslight", "Goldfinch", "Grand Union", "Granary", "Guildhall", "Halcyon", "Hollis", "Jubilee", "Kingfisher", "Lakeside", "Lantern",
    "Liberty Street", "Lighthouse", "Magnolia", "Majestic", "Marigold", "Mariner", "Meridian", "Mulberry", "Orchard", "Orpheum Row", "Palisade",
    "Paragon", "Prairie", "Quayside", "Regent", "Riverbank", "Rotunda", "Sandstone", "Sawmill", "Starling", "Sycamore", "Tidewater",
    "Trolley Barn", "Vanguard", "Waterworks", "Wexford", "Zephyr",
];

const ADJECTIVES: &[&str] = &[
    "Amber", "Ancient", "Brave", "Broken", "Careless", "Cobalt", "Crooked", "Distant", "Drowsy", "Electric", "Faithful", "Forgotten", "Gentle",
    "Gilded", "Hidden", "Hollow", "Idle", "Jagged", "Little", "Lonely", "Lucky", "Marble", "Midnight", "Modern", "Nimble", "Paper", "Patient",
    "Quiet", "Restless", "Roaming", "Rusty", "Scarlet", "Second", "Secret", "Shining", "Sleepless", "Southern", "Spare", "Stolen", "Sudden",
    "Tender", "Thirsty", "Tiny", "Twisted", "Unlikely", "Velvet", "Violet", "Wandering", "Wicked", "Wild", "Winding", "Wooden", "Yellow",
];

const NOUNS: &[&str] = &[
    "Almanac", "Anvil", "Astronomer", "Baker", "Balloon", "Bell", "Bicycle", "Bridge", "Candle", "Captain", "Carpenter", "Clock", "Comet",
    "Compass", "Crow", "Daughter", "Diamond", "Door", "Engine", "Falcon", "Fiddler", "Garden", "Ghost", "Hammer", "Harbor", "Island", "Journal",
    "Kettle", "Ladder", "Lantern", "Letter", "Magpie", "Map", "Mirror", "Moon", "Mountain", "Needle", "Orphan", "Painter", "Parade", "Pilot",
    "Queen", "Radio", "River", "Sailor", "Satellite", "Shadow", "Tailor", "Teacup", "Traveller", "Umbrella", "Widow", "Window",
];

const ENSEMBLES: &[&str] = &["Trio", "Quartet", "Quintet", "Big Band", "Octet"];
const ORCHESTRAS: &[&str] = &["Philharmonic", "Chamber Players", "Symphony", "Youth Orchestra", "Bach Choir", "String Quartet", "Brass"];
const TEAMS: &[&str] = &[
    "Badgers", "Comets", "Dynamos", "Ferrymen", "Hawks", "Herons", "Lumberjacks", "Mariners", "Millers", "Otters", "Pioneers", "Rangers",
    "Rovers", "Wanderers",
];

pub const FIRST_NAMES: &[&str] = &[
    "Ada", "Adrian", "Agnes", "Alba", "Alvin", "Amara", "Amir", "Anouk", "Arlo", "Astrid", "Beatriz", "Benno", "Bram", "Callum", "Camille",
    "Carmen", "Cato", "Cecil", "Celeste", "Clara", "Cormac", "Dalia", "Dario", "Delphine", "Desmond", "Dora", "Edith", "Elio", "Elsa", "Emeka",
    "Enid", "Esme", "Ezra", "Fabian", "Farah", "Felix", "Fiona", "Florian", "Freya", "Gideon", "Greta", "Hamza", "Hanna", "Hector", "Hugo",
    "Ibrahim", "Ida", "Ilse", "Imani", "Ines", "Iris", "Ivan", "Jarek", "Joanna", "Jonah", "Juno", "Kamal", "Karin", "Keiko", "Lars", "Leila",
    "Lena", "Leopold", "Lidia", "Linus", "Livia", "Lorenzo", "Lucia", "Magnus", "Maia", "Marek", "Mateo", "Matilda", "Mina", "Miriam", "Nadia",
    "Naomi", "Nell", "Nico", "Noor", "Odette", "Olga", "Omar", "Orla", "Otis", "Pablo", "Pia", "Priya", "Quentin", "Rafi", "Ramona", "Rosa",
    "Rufus", "Ruth", "Samir", "Saskia", "Selma", "Silas", "Sofia", "Stellan", "Tamar", "Theo", "Tilda", "Tomas", "Ulrich", "Una", "Vera",
    "Viktor", "Wanda", "Wilhelm", "Willa", "Xavier", "Yara", "Yusuf", "Zadie", "Zeno",
];

pub const LAST_NAMES: &[&str] = &[
    "Abara", "Adler", "Almeida", "Amundsen", "Arkwright", "Ashby", "Bakker", "Barlow", "Beaumont", "Becerra", "Bellamy", "Bergstrom", "Birch",
    "Blackwood", "Bonnet", "Brandt", "Brennan", "Calloway", "Cardoso", "Castellan", "Chandra", "Cho", "Colbert", "Copeland", "Corrigan",
    "Dahl", "Dalgaard", "Darby", "Delacroix", "Desai", "Dorsey", "Drummond", "Eckhart", "Ellison", "Engel", "Farouk", "Fenwick", "Fielding",
    "Fontaine", "Forsyth", "Galloway", "Garrido", "Gorman", "Greenaway", "Haddad", "Halloran", "Hartwell", "Haugen", "Hidalgo", "Holm",
    "Ibarra", "Ingram", "Ito", "Jansen", "Jardine", "Kaplan", "Karlsen", "Kaur", "Keane", "Kimura", "Kovacs", "Lachance", "Lang", "Larkin",
    "Lindqvist", "Lombardi", "Lowell", "Macrae", "Madaki", "Marchetti", "Marlowe", "Medina", "Merriweather", "Moreau", "Nakamura", "Navarro",
    "Novak", "Nwosu", "Oakley", "Okafor", "Olsen", "Ortega", "Paxton", "Pereira", "Petrov", "Quigley", "Ramirez", "Rao", "Rasmus", "Redfern",
    "Rinaldi", "Rosenthal", "Rowe", "Saavedra", "Sandoval", "Santoro", "Schuster", "Shah", "Sinclair", "Solberg", "Sorensen", "Stanhope",
    "Sutter", "Takeda", "Tennant", "Thackeray", "Thorne", "Tran", "Ueda", "Valdez", "Vance", "Vogel", "Wainwright", "Wexler", "Winslow",
    "Yamada", "Yilmaz", "Zamani", "Zielinski",
];

/// Hosts under the names RFC 2606 keeps for examples.
pub const MAIL_HOSTS: &[&str] = &["mail.example", "post.example", "inbox.example", "example.com", "example.net", "example.org"];
