mod architecture;
mod generate;
