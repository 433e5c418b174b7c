"""What joins the three strata: views of them together, and loops over more than one."""
