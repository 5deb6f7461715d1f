//! Descriptions are Markdown, as in dbt's docs. What people write there is shown, never run: raw HTML appears as text, and only
//! web addresses and places in the site become links.

use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, html};

/// The text as HTML.
pub fn to_html(text: &str) -> String {
    let parser = Parser::new_ext(text, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH);
    let mut out = String::new();
    html::push_html(&mut out, parser.map(harmless));
    out
}

/// The first line's words, for lists.
pub fn first_line(text: &str) -> String {
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
    let words = Parser::new(line).filter_map(|event| match event {
        Event::Text(text) | Event::Code(text) => Some(text.into_string()),
        Event::SoftBreak | Event::HardBreak => Some(" ".to_string()),
        _ => None,
    });
    words.collect()
}

fn harmless(event: Event<'_>) -> Event<'_> {
    match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        Event::Start(Tag::Link { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url: address(dest_url), title, id })
        }
        // An image would be fetched from elsewhere: the site works without a network.
        Event::Start(Tag::Image { link_type, dest_url, title, id }) => {
            Event::Start(Tag::Link { link_type, dest_url: address(dest_url), title, id })
        }
        Event::End(pulldown_cmark::TagEnd::Image) => Event::End(pulldown_cmark::TagEnd::Link),
        other => other,
    }
}

fn address(url: CowStr<'_>) -> CowStr<'_> {
    let web = ["https://", "http://", "mailto:", "#"].iter().any(|start| url.starts_with(start));
    if web { url } else { CowStr::Borrowed("#") }
}
