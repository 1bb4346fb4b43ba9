from multiprocessing.context import *
from multiprocessing.context import BaseContext as BaseContext
from multiprocessing.context import DefaultContext as DefaultContext
