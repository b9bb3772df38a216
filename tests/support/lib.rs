//! Test support.

pub mod benchmark;
pub mod binary;
pub mod checkpoints;
pub mod cli;
pub mod data;
pub mod database;
pub mod disk;
pub mod http;
pub mod hub_double;
pub mod official_client;
pub mod process;
pub mod publication;
pub mod receiver;
pub mod service;
pub mod wait;
pub mod webdriver;
