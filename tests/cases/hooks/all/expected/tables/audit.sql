select place from audit
