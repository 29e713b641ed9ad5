"""Attribution (SPEC section 4, REPORTS section 5): which campaigns a deal's money is dealt to, by which model, to the cent.

Reading order: `models` (what there is to choose from), `touches` (which of a deal's touches are eligible), `weights` (what each
of them weighs), `dealing` (amounts by weight, day by day).
"""
