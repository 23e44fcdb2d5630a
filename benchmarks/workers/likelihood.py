"""The size of the likelihood benchmark."""

ROWS, DRAWS, PIXELS, LATENT, HIDDEN = 100, 5000, 784, 40, (300, 300)
PEER_SHARE = 10  # pythae does a tenth of the rows
