"""From runs to a submission: one script that stands alone, an audit, and a folder to hand in."""
