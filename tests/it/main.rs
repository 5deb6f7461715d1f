mod docs;
mod generate;
