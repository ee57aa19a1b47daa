//! Tests of the whole stack, a module per concern.

mod budgets;
