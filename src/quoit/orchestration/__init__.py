"""What joins the three strata: views and loops over more than one of them."""
