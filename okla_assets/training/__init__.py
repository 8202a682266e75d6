"""Trains the view heads on labelled photos: the work behind `okla train-views`.

`labels` reads the tables, `augment` varies the photos, `samples` passes them through the network,
`fit` trains on the features and `measure` scores. Whole vehicles are held out to measure, then the
heads are trained again on everything; `train` puts it together. `calibrate` is that of
`okla calibrate-clip`.
"""
