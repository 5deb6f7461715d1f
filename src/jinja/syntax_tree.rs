//! Walking minijinja's syntax tree: every expression, and the calls a template makes by literal name.

use minijinja::machinery::ast::{Call, CallArg, Expr, Macro, Stmt};

/// What the walk comes by. A call in an expression is both; those of `do` and `call` statements are calls only.
pub(super) enum Part<'a, 's> {
    Expr(&'a Expr<'s>),
    Call(&'a Call<'s>),
}

/// Calls `visit` for every expression and every call in `root`, outer ones first.
pub(super) fn walk<'a, 's>(root: &'a Stmt<'s>, visit: &mut dyn FnMut(Part<'a, 's>)) {
    statement(root, visit);
}

fn statements<'a, 's>(list: &'a [Stmt<'s>], visit: &mut dyn FnMut(Part<'a, 's>)) {
    for stmt in list {
        statement(stmt, visit);
    }
}

fn statement<'a, 's>(stmt: &'a Stmt<'s>, visit: &mut dyn FnMut(Part<'a, 's>)) {
    match stmt {
        Stmt::Template(node) => statements(&node.children, visit),
        Stmt::EmitExpr(node) => expression(&node.expr, visit),
        Stmt::ForLoop(node) => {
            expression(&node.target, visit);
            expression(&node.iter, visit);
            node.filter_expr.iter().for_each(|expr| expression(expr, visit));
            statements(&node.body, visit);
            statements(&node.else_body, visit);
        }
        Stmt::IfCond(node) => {
            expression(&node.expr, visit);
            statements(&node.true_body, visit);
            statements(&node.false_body, visit);
        }
        Stmt::WithBlock(node) => {
            node.assignments.iter().for_each(|(_, value)| expression(value, visit));
            statements(&node.body, visit);
        }
        Stmt::Set(node) => expression(&node.expr, visit),
        Stmt::SetBlock(node) => {
            node.filter.iter().for_each(|expr| expression(expr, visit));
            statements(&node.body, visit);
        }
        Stmt::AutoEscape(node) => statements(&node.body, visit),
        Stmt::FilterBlock(node) => {
            expression(&node.filter, visit);
            statements(&node.body, visit);
        }
        Stmt::Block(node) => statements(&node.body, visit),
        Stmt::Macro(node) => declaration(node, visit),
        Stmt::CallBlock(node) => {
            call(&node.call, visit);
            declaration(&node.macro_decl, visit);
        }
        Stmt::Do(node) => call(&node.call, visit),
        _ => {}
    }
}

fn call<'a, 's>(node: &'a Call<'s>, visit: &mut dyn FnMut(Part<'a, 's>)) {
    visit(Part::Call(node));
    expression(&node.expr, visit);
    arguments(&node.args, visit);
}

fn declaration<'a, 's>(node: &'a Macro<'s>, visit: &mut dyn FnMut(Part<'a, 's>)) {
    node.defaults.iter().for_each(|expr| expression(expr, visit));
    statements(&node.body, visit);
}

fn arguments<'a, 's>(args: &'a [CallArg<'s>], visit: &mut dyn FnMut(Part<'a, 's>)) {
    for arg in args {
        match arg {
            CallArg::Pos(expr) | CallArg::PosSplat(expr) | CallArg::Kwarg(_, expr) | CallArg::KwargSplat(expr) => {
                expression(expr, visit);
            }
        }
    }
}

fn expression<'a, 's>(expr: &'a Expr<'s>, visit: &mut dyn FnMut(Part<'a, 's>)) {
    visit(Part::Expr(expr));
    match expr {
        Expr::Var(_) | Expr::Const(_) => {}
        Expr::Slice(node) => {
            expression(&node.expr, visit);
            [&node.start, &node.stop, &node.step].into_iter().flatten().for_each(|part| expression(part, visit));
        }
        Expr::UnaryOp(node) => expression(&node.expr, visit),
        Expr::BinOp(node) => {
            expression(&node.left, visit);
            expression(&node.right, visit);
        }
        Expr::Compare(node) => {
            expression(&node.expr, visit);
            node.ops.iter().for_each(|op| expression(&op.expr, visit));
        }
        Expr::IfExpr(node) => {
            expression(&node.test_expr, visit);
            expression(&node.true_expr, visit);
            node.false_expr.iter().for_each(|part| expression(part, visit));
        }
        Expr::Filter(node) => {
            node.expr.iter().for_each(|part| expression(part, visit));
            arguments(&node.args, visit);
        }
        Expr::Test(node) => {
            expression(&node.expr, visit);
            arguments(&node.args, visit);
        }
        Expr::GetAttr(node) => expression(&node.expr, visit),
        Expr::GetItem(node) => {
            expression(&node.expr, visit);
            expression(&node.subscript_expr, visit);
        }
        Expr::Call(node) => call(node, visit),
        Expr::List(node) => node.items.iter().for_each(|item| expression(item, visit)),
        Expr::Tuple(node) => node.items.iter().for_each(|item| expression(item, visit)),
        Expr::Map(node) => node.keys.iter().chain(&node.values).for_each(|item| expression(item, visit)),
    }
}
