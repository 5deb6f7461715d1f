
mod execute;
