select {{ outer() }} as one
