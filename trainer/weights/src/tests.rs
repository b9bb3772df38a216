mod good;
mod hostile;
mod real;
mod reshard;
mod support;
