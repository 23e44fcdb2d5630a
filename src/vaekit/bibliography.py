"""The papers that parts and recipes name, as BibTeX.

A paper is named by a line such as ``Kingma & Welling 2013, appendix C.2; β: Higgins et al. 2017``: pieces between
semicolons, each beginning with authors and year (after a word and a colon, where only one option comes from there).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """One entry of a bibliography.

    Attributes:
        key: what ``\\cite`` names.
        kind: ``article``, ``inproceedings``, ``misc``, ``software``.
        fields: title, author and so on, in the order in which they are written.
    """

    key: str
    kind: str
    fields: dict[str, str]

    def bibtex(self) -> str:
        """The entry as it stands in a ``.bib`` file, without a newline at the end."""
        width = max(map(len, self.fields))
        lines = [f"  {name:<{width}} = {{{value}}}" for name, value in self.fields.items()]
        return f"@{self.kind}{{{self.key},\n" + ",\n".join(lines) + "\n}"


def entry_of(piece: str) -> Entry | None:
    """The entry that a piece without semicolons names by the authors and the year at its start, if it is known."""
    whole = piece.strip()
    for start in (whole, re.sub(r"^[^:,;]*: ", "", whole)):
        for label, entry in ENTRIES.items():
            if re.match(rf"{re.escape(label)}(?!\w)", start):
                return entry
    return None


def entries_for(texts: Iterable[str]) -> list[Entry]:
    """The entries that lines such as ``part_paper`` name, each once, in the order of their first mention.

    What names no known paper is passed over: a part of a user's own may come from anywhere.

    >>> [entry.key for entry in entries_for(["Kingma & Welling 2013; β: Higgins et al. 2017"])]
    ['kingma2014autoencoding', 'higgins2017beta']
    """
    found = (entry_of(piece) for text in texts for piece in text.split(";"))
    return list({entry.key: entry for entry in found if entry is not None}.values())


def software(version: str) -> Entry:
    """The entry of vaekit itself."""
    title = "vaekit: variational autoencoders from parts that compose"
    return Entry("vaekit", "software", {"title": title, "author": "{The vaekit contributors}", "version": version})


def _talk(key: str, title: str, author: str, venue: str, year: int, arxiv: str = "", **more: str) -> Entry:
    """A paper of a conference."""
    fields = {"title": title, "author": author, "booktitle": venue} | more | {"year": str(year)}
    return Entry(key, "inproceedings", fields | _eprint(arxiv))


def _article(key: str, title: str, author: str, journal: str, year: int, arxiv: str = "", **more: str) -> Entry:
    """A paper of a journal, or a preprint."""
    fields = {"title": title, "author": author, "journal": journal} | more | {"year": str(year)}
    return Entry(key, "article", fields | _eprint(arxiv))


def _eprint(arxiv: str) -> dict[str, str]:
    return {"eprint": arxiv, "archiveprefix": "arXiv"} if arxiv else {}


_ICLR = "International Conference on Learning Representations"
_ICML = "International Conference on Machine Learning"
_NEURIPS = "Advances in Neural Information Processing Systems"
_PMLR = "Proceedings of Machine Learning Research"

# By authors and year, as parts and recipes write them; what has no year, by its title.
ENTRIES: dict[str, Entry] = {
    "Bauer & Mnih 2021": _talk(
        "bauer2021generalized",
        "Generalized Doubly Reparameterized Gradient Estimators",
        "Bauer, Matthias and Mnih, Andriy",
        _ICML,
        2021,
        "2101.11046",
        series=_PMLR,
        volume="139",
        pages="738--747",
    ),
    "Bińkowski et al. 2018": _talk(
        "binkowski2018demystifying",
        "Demystifying {MMD} {GANs}",
        r"Bi{\'n}kowski, Miko{\l}aj and Sutherland, Danica J. and Arbel, Michael and Gretton, Arthur",
        _ICLR,
        2018,
        "1801.01401",
    ),
    "Bornschein & Bengio 2015": _talk(
        "bornschein2015reweighted",
        "Reweighted Wake-Sleep",
        r"Bornschein, J{\"o}rg and Bengio, Yoshua",
        _ICLR,
        2015,
        "1406.2751",
    ),
    "Bowman et al. 2016": _talk(
        "bowman2016generating",
        "Generating Sentences from a Continuous Space",
        "Bowman, Samuel R. and Vilnis, Luke and Vinyals, Oriol and Dai, Andrew M. and Jozefowicz, Rafal and "
        "Bengio, Samy",
        "{SIGNLL} Conference on Computational Natural Language Learning",
        2016,
        "1511.06349",
        pages="10--21",
    ),
    "Burda et al. 2016": _talk(
        "burda2016importance",
        "Importance Weighted Autoencoders",
        "Burda, Yuri and Grosse, Roger and Salakhutdinov, Ruslan",
        _ICLR,
        2016,
        "1509.00519",
    ),
    "Caterini et al. 2018": _talk(
        "caterini2018hamiltonian",
        "Hamiltonian Variational Auto-Encoder",
        "Caterini, Anthony L. and Doucet, Arnaud and Sejdinovic, Dino",
        _NEURIPS,
        2018,
        "1805.11328",
        volume="31",
        pages="8167--8177",
    ),
    "Chen et al. 2018": _talk(
        "chen2018isolating",
        "Isolating Sources of Disentanglement in Variational Autoencoders",
        "Chen, Ricky T. Q. and Li, Xuechen and Grosse, Roger and Duvenaud, David",
        _NEURIPS,
        2018,
        "1802.04942",
        volume="31",
    ),
    "Child 2021": _talk(
        "child2021very",
        "Very Deep {VAEs} Generalize Autoregressive Models and Can Outperform Them on Images",
        "Child, Rewon",
        _ICLR,
        2021,
        "2011.10650",
    ),
    "Cremer et al. 2018": _talk(
        "cremer2018inference",
        "Inference Suboptimality in Variational Autoencoders",
        "Cremer, Chris and Li, Xuechen and Duvenaud, David",
        _ICML,
        2018,
        "1801.03558",
        series=_PMLR,
        volume="80",
    ),
    "Dai & Wipf 2019": _talk(
        "dai2019diagnosing",
        "Diagnosing and Enhancing {VAE} Models",
        "Dai, Bin and Wipf, David",
        _ICLR,
        2019,
        "1903.05789",
    ),
    "Dauphin et al. 2017": _talk(
        "dauphin2017language",
        "Language Modeling with Gated Convolutional Networks",
        "Dauphin, Yann N. and Fan, Angela and Auli, Michael and Grangier, David",
        _ICML,
        2017,
        "1612.08083",
        series=_PMLR,
        volume="70",
        pages="933--941",
    ),
    "Davidson et al. 2018": _talk(
        "davidson2018hyperspherical",
        "Hyperspherical Variational Auto-Encoders",
        "Davidson, Tim R. and Falorsi, Luca and De Cao, Nicola and Kipf, Thomas and Tomczak, Jakub M.",
        "Conference on Uncertainty in Artificial Intelligence",
        2018,
        "1804.00891",
        pages="856--865",
    ),
    "Dhariwal et al. 2020": _article(
        "dhariwal2020jukebox",
        "Jukebox: A Generative Model for Music",
        "Dhariwal, Prafulla and Jun, Heewoo and Payne, Christine and Kim, Jong Wook and Radford, Alec and "
        "Sutskever, Ilya",
        "arXiv preprint arXiv:2005.00341",
        2020,
        "2005.00341",
    ),
    "Dinh et al. 2017": _talk(
        "dinh2017density",
        "Density Estimation Using Real {NVP}",
        "Dinh, Laurent and Sohl-Dickstein, Jascha and Bengio, Samy",
        _ICLR,
        2017,
        "1605.08803",
    ),
    "Durkan et al. 2019": _talk(
        "durkan2019neural",
        "Neural Spline Flows",
        "Durkan, Conor and Bekasov, Artur and Murray, Iain and Papamakarios, George",
        _NEURIPS,
        2019,
        "1906.04032",
        volume="32",
    ),
    "Fu et al. 2019": _talk(
        "fu2019cyclical",
        "Cyclical Annealing Schedule: A Simple Approach to Mitigating {KL} Vanishing",
        "Fu, Hao and Li, Chunyuan and Liu, Xiaodong and Gao, Jianfeng and Celikyilmaz, Asli and Carin, Lawrence",
        "Conference of the North American Chapter of the Association for Computational Linguistics",
        2019,
        "1903.10145",
        pages="240--250",
    ),
    "Germain et al. 2015": _talk(
        "germain2015made",
        "{MADE}: Masked Autoencoder for Distribution Estimation",
        "Germain, Mathieu and Gregor, Karol and Murray, Iain and Larochelle, Hugo",
        _ICML,
        2015,
        "1502.03509",
        series=_PMLR,
        volume="37",
        pages="881--889",
    ),
    "Gretton et al. 2012": _article(
        "gretton2012kernel",
        "A Kernel Two-Sample Test",
        r"Gretton, Arthur and Borgwardt, Karsten M. and Rasch, Malte J. and Sch{\"o}lkopf, Bernhard and "
        "Smola, Alexander",
        "Journal of Machine Learning Research",
        2012,
        volume="13",
        pages="723--773",
    ),
    "Grosse et al. 2015": _article(
        "grosse2015sandwiching",
        "Sandwiching the Marginal Likelihood Using Bidirectional {Monte Carlo}",
        "Grosse, Roger B. and Ghahramani, Zoubin and Adams, Ryan P.",
        "arXiv preprint arXiv:1511.02543",
        2015,
        "1511.02543",
    ),
    "He et al. 2016": _talk(
        "he2016identity",
        "Identity Mappings in Deep Residual Networks",
        "He, Kaiming and Zhang, Xiangyu and Ren, Shaoqing and Sun, Jian",
        "European Conference on Computer Vision",
        2016,
        "1603.05027",
    ),
    "Heusel et al. 2017": _talk(
        "heusel2017gans",
        "{GANs} Trained by a Two Time-Scale Update Rule Converge to a Local {Nash} Equilibrium",
        "Heusel, Martin and Ramsauer, Hubert and Unterthiner, Thomas and Nessler, Bernhard and Hochreiter, Sepp",
        _NEURIPS,
        2017,
        "1706.08500",
        volume="30",
        pages="6626--6637",
    ),
    "Higgins et al. 2017": _talk(
        "higgins2017beta",
        "beta-{VAE}: Learning Basic Visual Concepts with a Constrained Variational Framework",
        "Higgins, Irina and Matthey, Loic and Pal, Arka and Burgess, Christopher and Glorot, Xavier and "
        "Botvinick, Matthew and Mohamed, Shakir and Lerchner, Alexander",
        _ICLR,
        2017,
    ),
    "Hinton et al. 1995": _article(
        "hinton1995wakesleep",
        "The ''Wake-Sleep'' Algorithm for Unsupervised Neural Networks",
        "Hinton, Geoffrey E. and Dayan, Peter and Frey, Brendan J. and Neal, Radford M.",
        "Science",
        1995,
        volume="268",
        number="5214",
        pages="1158--1161",
        doi="10.1126/science.7761831",
    ),
    "Hoffman & Johnson 2016": _talk(
        "hoffman2016elbo",
        "{ELBO} Surgery: Yet Another Way to Carve Up the Variational Evidence Lower Bound",
        "Hoffman, Matthew D. and Johnson, Matthew J.",
        "{NIPS} Workshop on Advances in Approximate Bayesian Inference",
        2016,
    ),
    "Jang et al. 2017": _talk(
        "jang2017categorical",
        "Categorical Reparameterization with {Gumbel}-Softmax",
        "Jang, Eric and Gu, Shixiang and Poole, Ben",
        _ICLR,
        2017,
        "1611.01144",
    ),
    "Kingma & Welling 2013": _talk(
        "kingma2014autoencoding",
        "Auto-Encoding Variational {Bayes}",
        "Kingma, Diederik P. and Welling, Max",
        _ICLR,
        2014,
        "1312.6114",
    ),
    "Kingma & Welling 2019": _article(
        "kingma2019introduction",
        "An Introduction to Variational Autoencoders",
        "Kingma, Diederik P. and Welling, Max",
        "Foundations and Trends in Machine Learning",
        2019,
        "1906.02691",
        volume="12",
        number="4",
        pages="307--392",
    ),
    "Kingma et al. 2016": _talk(
        "kingma2016improved",
        "Improved Variational Inference with Inverse Autoregressive Flow",
        "Kingma, Diederik P. and Salimans, Tim and Jozefowicz, Rafal and Chen, Xi and Sutskever, Ilya and Welling, Max",
        _NEURIPS,
        2016,
        "1606.04934",
        volume="29",
    ),
    "Kingma, Rezende, Mohamed & Welling 2014": _talk(
        "kingma2014semisupervised",
        "Semi-Supervised Learning with Deep Generative Models",
        "Kingma, Diederik P. and Rezende, Danilo J. and Mohamed, Shakir and Welling, Max",
        _NEURIPS,
        2014,
        "1406.5298",
        volume="27",
    ),
    "Kolouri et al. 2018": _talk(
        "kolouri2019sliced",
        "Sliced {Wasserstein} Auto-Encoders",
        "Kolouri, Soheil and Pope, Phillip E. and Martin, Charles E. and Rohde, Gustavo K.",
        _ICLR,
        2019,
        "1804.01947",
    ),
    "Kynkäänniemi et al. 2019": _talk(
        "kynkaanniemi2019improved",
        "Improved Precision and Recall Metric for Assessing Generative Models",
        r"Kynk{\"a}{\"a}nniemi, Tuomas and Karras, Tero and Laine, Samuli and Lehtinen, Jaakko and Aila, Timo",
        _NEURIPS,
        2019,
        "1904.06991",
        volume="32",
    ),
    "Li & Turner 2016": _talk(
        "li2016renyi",
        r"R{\'e}nyi Divergence Variational Inference",
        "Li, Yingzhen and Turner, Richard E.",
        _NEURIPS,
        2016,
        "1602.02311",
        volume="29",
    ),
    "Lopez et al. 2018": _article(
        "lopez2018deep",
        "Deep Generative Modeling for Single-Cell Transcriptomics",
        "Lopez, Romain and Regier, Jeffrey and Cole, Michael B. and Jordan, Michael I. and Yosef, Nir",
        "Nature Methods",
        2018,
        volume="15",
        number="12",
        pages="1053--1058",
        doi="10.1038/s41592-018-0229-2",
    ),
    "Loshchilov & Hutter 2017": _talk(
        "loshchilov2017sgdr",
        "{SGDR}: Stochastic Gradient Descent with Warm Restarts",
        "Loshchilov, Ilya and Hutter, Frank",
        _ICLR,
        2017,
        "1608.03983",
    ),
    "Maddison et al. 2017": _talk(
        "maddison2017concrete",
        "The Concrete Distribution: A Continuous Relaxation of Discrete Random Variables",
        "Maddison, Chris J. and Mnih, Andriy and Teh, Yee Whye",
        _ICLR,
        2017,
        "1611.00712",
    ),
    "Makhzani et al. 2015": _article(
        "makhzani2015adversarial",
        "Adversarial Autoencoders",
        "Makhzani, Alireza and Shlens, Jonathon and Jaitly, Navdeep and Goodfellow, Ian and Frey, Brendan",
        "arXiv preprint arXiv:1511.05644",
        2015,
        "1511.05644",
    ),
    "McCullagh 1980": _article(
        "mccullagh1980regression",
        "Regression Models for Ordinal Data",
        "McCullagh, Peter",
        "Journal of the Royal Statistical Society: Series B (Methodological)",
        1980,
        volume="42",
        number="2",
        pages="109--127",
    ),
    "Naeem et al. 2020": _talk(
        "naeem2020reliable",
        "Reliable Fidelity and Diversity Metrics for Generative Models",
        "Naeem, Muhammad Ferjad and Oh, Seong Joon and Uh, Youngjung and Choi, Yunjey and Yoo, Jaejun",
        _ICML,
        2020,
        "2002.09797",
        series=_PMLR,
        volume="119",
        pages="7176--7185",
    ),
    "Neal 2001": _article(
        "neal2001annealed",
        "Annealed Importance Sampling",
        "Neal, Radford M.",
        "Statistics and Computing",
        2001,
        volume="11",
        number="2",
        pages="125--139",
    ),
    "Papamakarios et al. 2017": _talk(
        "papamakarios2017masked",
        "Masked Autoregressive Flow for Density Estimation",
        "Papamakarios, George and Pavlakou, Theo and Murray, Iain",
        _NEURIPS,
        2017,
        "1705.07057",
        volume="30",
    ),
    "Parzen 1962": _article(
        "parzen1962estimation",
        "On Estimation of a Probability Density Function and Mode",
        "Parzen, Emanuel",
        "The Annals of Mathematical Statistics",
        1962,
        volume="33",
        number="3",
        pages="1065--1076",
    ),
    "Rainforth et al. 2018": _talk(
        "rainforth2018tighter",
        "Tighter Variational Bounds are Not Necessarily Better",
        "Rainforth, Tom and Kosiorek, Adam R. and Le, Tuan Anh and Maddison, Chris J. and Igl, Maximilian and "
        "Wood, Frank and Teh, Yee Whye",
        _ICML,
        2018,
        "1802.04537",
        series=_PMLR,
        volume="80",
        pages="4277--4285",
    ),
    "Razavi et al. 2019": _talk(
        "razavi2019preventing",
        "Preventing Posterior Collapse with delta-{VAE}s",
        r"Razavi, Ali and van den Oord, A{\"a}ron and Poole, Ben and Vinyals, Oriol",
        _ICLR,
        2019,
        "1901.03416",
    ),
    "Rezende & Mohamed 2015": _talk(
        "rezende2015variational",
        "Variational Inference with Normalizing Flows",
        "Rezende, Danilo Jimenez and Mohamed, Shakir",
        _ICML,
        2015,
        "1505.05770",
        series=_PMLR,
        volume="37",
        pages="1530--1538",
    ),
    "Rezende et al. 2014": _talk(
        "rezende2014stochastic",
        "Stochastic Backpropagation and Approximate Inference in Deep Generative Models",
        "Rezende, Danilo Jimenez and Mohamed, Shakir and Wierstra, Daan",
        _ICML,
        2014,
        "1401.4082",
        series=_PMLR,
        volume="32",
        pages="1278--1286",
    ),
    "Roeder et al. 2017": _talk(
        "roeder2017sticking",
        "Sticking the Landing: Simple, Lower-Variance Gradient Estimators for Variational Inference",
        "Roeder, Geoffrey and Wu, Yuhuai and Duvenaud, David",
        _NEURIPS,
        2017,
        "1703.09194",
        volume="30",
    ),
    "Rybkin et al. 2021": _talk(
        "rybkin2021simple",
        "Simple and Effective {VAE} Training with Calibrated Decoders",
        "Rybkin, Oleh and Daniilidis, Kostas and Levine, Sergey",
        _ICML,
        2021,
        "2006.13202",
        series=_PMLR,
        volume="139",
        pages="9179--9189",
    ),
    "Salimans et al. 2017": _talk(
        "salimans2017pixelcnn",
        "{PixelCNN++}: Improving the {PixelCNN} with Discretized Logistic Mixture Likelihood and Other Modifications",
        "Salimans, Tim and Karpathy, Andrej and Chen, Xi and Kingma, Diederik P.",
        _ICLR,
        2017,
        "1701.05517",
    ),
    "Sønderby et al. 2016": _talk(
        "sonderby2016ladder",
        "Ladder Variational Autoencoders",
        r"S{\o}nderby, Casper Kaae and Raiko, Tapani and Maal{\o}e, Lars and S{\o}nderby, S{\o}ren Kaae and "
        "Winther, Ole",
        _NEURIPS,
        2016,
        "1602.02282",
        volume="29",
    ),
    "Takahashi et al. 2018": _talk(
        "takahashi2018student",
        "Student-t Variational Autoencoder for Robust Density Estimation",
        "Takahashi, Hiroshi and Iwata, Tomoharu and Yamanaka, Yuki and Yamada, Masanori and Yagi, Satoshi",
        "International Joint Conference on Artificial Intelligence",
        2018,
        pages="2696--2702",
    ),
    "TensorFlow tutorial: Convolutional Variational Autoencoder": Entry(
        "tensorflowcvae",
        "misc",
        {
            "title": "Convolutional Variational Autoencoder",
            "author": "{The TensorFlow Authors}",
            "howpublished": r"\url{https://www.tensorflow.org/tutorials/generative/cvae}",
        },
    ),
    "Theis et al. 2016": _talk(
        "theis2016note",
        "A Note on the Evaluation of Generative Models",
        r"Theis, Lucas and van den Oord, A{\"a}ron and Bethge, Matthias",
        _ICLR,
        2016,
        "1511.01844",
    ),
    "Tolstikhin et al. 2018": _talk(
        "tolstikhin2018wasserstein",
        "{Wasserstein} Auto-Encoders",
        r"Tolstikhin, Ilya and Bousquet, Olivier and Gelly, Sylvain and Sch{\"o}lkopf, Bernhard",
        _ICLR,
        2018,
        "1711.01558",
    ),
    "Tomczak & Welling 2016": _article(
        "tomczak2016improving",
        "Improving Variational Auto-Encoders Using {Householder} Flow",
        "Tomczak, Jakub M. and Welling, Max",
        "arXiv preprint arXiv:1611.09630",
        2016,
        "1611.09630",
    ),
    "Tomczak & Welling 2018": _talk(
        "tomczak2018vampprior",
        "{VAE} with a {VampPrior}",
        "Tomczak, Jakub M. and Welling, Max",
        "International Conference on Artificial Intelligence and Statistics",
        2018,
        "1705.07120",
        series=_PMLR,
        volume="84",
        pages="1214--1223",
    ),
    "Tucker et al. 2019": _talk(
        "tucker2019doubly",
        "Doubly Reparameterized Gradient Estimators for {Monte} {Carlo} Objectives",
        "Tucker, George and Lawson, Dieterich and Gu, Shixiang and Maddison, Chris J.",
        _ICLR,
        2019,
        "1810.04152",
    ),
    "Uria et al. 2013": _talk(
        "uria2013rnade",
        "{RNADE}: The Real-Valued Neural Autoregressive Density-Estimator",
        "Uria, Benigno and Murray, Iain and Larochelle, Hugo",
        _NEURIPS,
        2013,
        "1306.0186",
        volume="26",
    ),
    "van den Oord et al. 2016": _talk(
        "vandenoord2016pixel",
        "Pixel Recurrent Neural Networks",
        r"van den Oord, A{\"a}ron and Kalchbrenner, Nal and Kavukcuoglu, Koray",
        _ICML,
        2016,
        "1601.06759",
        series=_PMLR,
        volume="48",
        pages="1747--1756",
    ),
    "van den Oord et al. 2017": _talk(
        "vandenoord2017neural",
        "Neural Discrete Representation Learning",
        r"van den Oord, A{\"a}ron and Vinyals, Oriol and Kavukcuoglu, Koray",
        _NEURIPS,
        2017,
        "1711.00937",
        volume="30",
    ),
    "Wu et al. 2017": _talk(
        "wu2017quantitative",
        "On the Quantitative Analysis of Decoder-Based Generative Models",
        "Wu, Yuhuai and Burda, Yuri and Salakhutdinov, Ruslan and Grosse, Roger",
        _ICLR,
        2017,
        "1611.04273",
    ),
    "Zhao et al. 2019": _talk(
        "zhao2019infovae",
        "{InfoVAE}: Balancing Learning and Inference in Variational Autoencoders",
        "Zhao, Shengjia and Song, Jiaming and Ermon, Stefano",
        "{AAAI} Conference on Artificial Intelligence",
        2019,
        "1706.02262",
        volume="33",
        pages="5885--5892",
    ),
}
