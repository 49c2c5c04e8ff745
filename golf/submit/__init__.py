"""From runs to a submission: one self-contained script, an audit, and the submission folder."""
