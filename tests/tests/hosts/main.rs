//! Both hosts side by side: the same answers (P6), one store, one cap, and what is left when workerd is killed.

mod answers;
mod corpus;
mod crash;
mod many;
mod mask;
mod shared;
mod wire;
mod world;
