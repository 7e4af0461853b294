//! The promises under load, faults and kills, over real servers and processes. Each file is one proof with its short
//! form; variables of the environment make it long, and a seed repeats it.

mod accounting;
mod books;
mod failover;
mod forms;
mod genesys_faults;
mod load;
mod rate_limit;
mod redis_faults;
mod sweepers;
mod tcp_proxy;
mod visitors;
